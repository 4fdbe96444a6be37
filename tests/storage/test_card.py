"""The model card says what a number is, and no name can break its tables."""

import pytest

from logpx.storage.card import model_card

CONFIG = {
    "logpx_version": "1.2.3",
    "format_version": 1,
    "torch_version": "2.6",
    "python_version": "3.11.7",
    "saved": "2030-01-01T00:00:00+00:00",
    "parameters": 12345,
    "model": {"class": "TableModel"},
}
METRICS = {
    "kind": "lower bound",
    "source": "data/table.csv",
    "rows": 1000,
    "train_rows": 900,
    "validation_rows": 100,
    "seed": 3,
    "seconds": 4.25,
    "chosen": {"model": "maf", "validation": -3.5, "standard_error": 0.25},
    "candidates": [
        {
            "model": "maf",
            "scales": "chosen",
            "validation": -3.5,
            "standard_error": 0.25,
            "seconds": 2.0,
            "chosen": True,
        },
        {"model": "nsf", "scales": "chosen", "validation": None, "seconds": 1.0, "note": "too few rows"},
    ],
    "notes": ["column 'id' is left out"],
    "scales": [{"column": "a|b", "scale": "Log"}],
}
SCHEMA = {
    "columns": [
        {"name": "a|b", "kind": "positive", "minimum": 0.5, "maximum": 2.0, "reason": "all above 0"},
        {"name": "<script>\n# x", "kind": "constant", "value": "x|y"},
    ]
}


def test_card_of_a_table_model():
    card = model_card("model", CONFIG, SCHEMA, METRICS)
    for text in (
        "model `maf`, 12,345 parameters. It gives a lower bound of log p(x), in nats.",
        "**-3.5 ± 0.25 nats per row**",
        "| to train | 900 |",
        "| a\\|b | positive | Log |  | 0.5 … 2 | all above 0 |",
        "too few rows",
        "- column 'id' is left out",
        "logpx score model new.csv",
        "| seed | 3 |",
        "| logpx | 1.2.3 |",
    ):
        assert text in card


@pytest.mark.parametrize(("kind", "text"), [("exact", "the exact log p(x)"), (None, "gives log p(x)")])
def test_kind_is_only_named_where_it_is_known(kind: str | None, text: str):
    card = model_card("model", CONFIG, SCHEMA, {**METRICS, "kind": kind})
    assert text in card
    assert "bound" not in card


def test_names_cannot_break_out_of_a_table():
    card = model_card("model", CONFIG, SCHEMA, METRICS)
    assert "<script>" not in card.replace("\\<script\\>", "")
    tables = [line.replace("\\|", "") for line in card.splitlines() if line.startswith("|")]
    columns = [line.count("|") for line in tables if "kind" in line or "positive" in line or "script" in line]
    assert columns == [7, 7, 7]


def test_title_and_folder_name_are_only_text():
    name = "<img src=x> [a](b)\n```\n# not me"
    card = model_card(name, CONFIG, SCHEMA, METRICS)
    assert card.startswith("# \\<img src=x\\> \\[a\\](b) \\`\\`\\` \\# not me\n")
    assert card.count("```") == 4
    assert "\n# not me" not in card


def test_names_are_quoted_in_commands():
    card = model_card("my model", CONFIG, SCHEMA, {})
    assert "logpx score 'my model' new.csv" in card
    assert 'logpx.load("my model")' in card


def test_card_of_a_model_that_nothing_is_known_of():
    card = model_card("flow", {**CONFIG, "model": {"class": "MAF"}}, None, {})
    assert "A density over arrays: model `MAF`" in card
    assert "## Likelihood" not in card
    assert "logpx score" not in card


def test_card_of_a_fit_in_python():
    card = model_card(
        "flow", CONFIG, None, {"best_validation": -1.25, "best_validation_error": 0.5, "train_rows": 90}
    )
    assert "**-1.25 ± 0.5 nats per row**" in card
