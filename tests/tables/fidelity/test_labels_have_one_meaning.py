"""A label is the same in whatever type it is stored and however it is spelled; new labels are reported."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from logpx.tables import TableModel, UnseenLabels, fit_table, infer_schema


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "member": np.where(generator.random(60) < 0.4, "True", "False"),
            "rooms": generator.integers(1, 4, 60),
            "town": generator.choice(["Oslo", "Rome"], 60),
        }
    )


@pytest.fixture(scope="module")
def model(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> TableModel:
    path = tmp_path_factory.mktemp("labels") / "a.csv"
    table.to_csv(path, index=False)
    return fit_table(path, "gaussian", columns={"rooms": "categorical"}).model


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table,
        lambda table: table.assign(member=table.member == "True"),
        lambda table: table.assign(member=(table.member == "True").astype("boolean")),
        lambda table: table.assign(member=table.member.str.lower()),
        lambda table: table.assign(member=table.member.str.upper().astype("category")),
        lambda table: table.assign(member=(table.member == "True").astype(int)),
        lambda table: table.assign(rooms=table.rooms.astype(float)),
        lambda table: table.assign(rooms=table.rooms.astype(str) + ".0"),
        lambda table: table.assign(rooms=table.rooms.astype(str).astype("category")),
        lambda table: table.assign(rooms=pa.array(table.rooms, pa.int8()).to_pandas()),
        lambda table: table.assign(town=" " + table.town + " "),
        lambda table: table.assign(town=table.town.astype("category")),
    ],
)
def test_all_spellings_score_alike(model: TableModel, table: pd.DataFrame, change):
    expected = model.log_prob(table)
    assert torch.isfinite(expected).all()
    assert torch.equal(model.log_prob(change(table)), expected)
    assert model.unseen_labels(change(table)) == []


def test_pandas_reads_a_csv_as_logpx_does(model: TableModel, table: pd.DataFrame, tmp_path):
    table.to_csv(tmp_path / "a.csv", index=False)
    frame = pd.read_csv(tmp_path / "a.csv")
    assert frame.member.dtype == bool
    assert torch.equal(model.log_prob(frame), model.log_prob(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("cells", "levels"),
    [
        (["True", "true", "FALSE", "False"], ["FALSE", "True"]),
        (["1", "1.0", "2", "02"], ["02", "1", "2"]),
        (["a", " a", "A", "b"], ["A", "a", "b"]),
    ],
)
def test_the_first_spelling_is_the_label(tmp_path, cells: list, levels: list):
    (tmp_path / "a.csv").write_text(
        "a,b\n" + "".join(f"{cell},{row % 2}\n" for row, cell in enumerate(cells))
    )
    assert infer_schema(tmp_path / "a.csv", {"a": "categorical"}).columns[0].levels == levels


def test_new_labels_are_counted_by_column_with_their_first_row(
    model: TableModel, table: pd.DataFrame, tmp_path
):
    rows = table[:6].assign(town=["Oslo", "rome", "Paris", "rome", None, "Rome"])
    rows.to_csv(tmp_path / "a.csv", index=False)
    unseen = UnseenLabels()
    scores = np.concatenate([batch.log_prob for batch in model.score(tmp_path / "a.csv", unseen=unseen)])
    assert np.isneginf(scores).tolist() == [False, True, True, True, False, False]
    found = [
        (label.column, label.label, label.rows, label.first_row, label.nearest) for label in unseen.labels
    ]
    assert found == [("town", "rome", 2, 2, "Rome"), ("town", "Paris", 1, 3, None)]
    assert unseen.labels[0].file == str(tmp_path / "a.csv")
    notes = model.evaluate(tmp_path / "a.csv").notes
    assert len(notes) == 2
    assert "'rome' is new to the model (2 rows, first in row 2" in notes[0]
    counted = UnseenLabels()
    list(model.impute_table(tmp_path / "a.csv", draws=3, unseen=counted))
    assert [label.rows for label in counted.labels] == [2, 1]
    assert math.isinf(model.evaluate(tmp_path / "a.csv").mean)


def test_intervals_of_pandas_are_labels():
    x = np.random.default_rng(0).normal(size=40)
    frame = pd.DataFrame({"x": x, "band": pd.cut(x, [-9, 0, 9])})
    column = infer_schema(frame).columns[1]
    assert column.levels == ["(-9, 0]", "(0, 9]"]
    model = fit_table(frame, "gaussian").model
    holes = frame.assign(band=frame.band.where(frame.index > 3))
    filled = model.impute(holes).to_pandas().band
    assert (filled.astype(str) == frame.band.astype(str))[4:].all()
    assert filled.cat.ordered
    assert list(filled.cat.categories) == ["(-9, 0]", "(0, 9]"]
    assert not filled.isna().any()
    assert torch.equal(model.log_prob(frame), model.log_prob(pa.Table.from_pandas(frame)))
