"""Rows that cannot be read, and columns without a value, in a table that a model is to answer for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

COMMANDS = [
    ["score"],
    ["score", "--keep"],
    ["score", "--columns-scores"],
    ["anomalies"],
    ["anomalies", "--all"],
    ["impute"],
    ["predict", "--target", "b"],
    ["cluster"],
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from logpx.cli import main

    folder = tmp_path_factory.mktemp("bad-rows")
    generator = np.random.default_rng(0)
    group = generator.integers(2, size=(200, 1))
    rows = generator.normal(size=(200, 2)) + 6.0 * group
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(folder / "t.csv", index=False)
    words = ["fit", folder / "t.csv", "-o", folder / "model", "--model", "gmm", "--components", "2", "-q"]
    assert main([str(word) for word in words]) == 0
    return folder / "model"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_table_that_cannot_be_read_leaves_stdout_empty(logpx, model: Path, tmp_path: Path, words):
    bad, old = tmp_path / "bad.csv", tmp_path / "old.csv"
    bad.write_text("a,b\n1.5,2.5\n1.5,2.5\nx,2.5\n")
    old.write_text("mine")
    command, *options = words
    ended = logpx(command, model, bad, *options)
    assert (ended.status, ended.out) == (3, "")
    assert "bad.csv, row 3, column 'a': text 'x'" in ended.err
    ended = logpx(command, model, bad, "-o", old, "--overwrite", "--json", *options)
    assert ended.status == ended.document["error"]["exit_code"] == 3
    assert old.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "old.csv"]


def test_rows_on_stdout_stay_there_though_a_later_one_is_bad(logpx, model: Path, tmp_path: Path):
    good = 70_000
    (tmp_path / "bad.csv").write_text("a,b\n" + "1.5,2.5\n" * good + "1.5,x\n")
    ended = logpx("score", model, tmp_path / "bad.csv", "--draws", "1")
    assert ended.status == 3
    assert f"row {good + 1}, column 'b': text 'x'" in ended.err
    header, *rows = ended.out.splitlines()
    assert header == "log_prob"
    assert 0 < len(rows) <= good
    assert len(set(rows)) == 1


@pytest.mark.parametrize("words", [words for words in COMMANDS if "predict" not in words], ids=" ".join)
def test_a_column_without_any_value_is_noted(logpx, model: Path, tmp_path: Path, words):
    (tmp_path / "empty.csv").write_text("a,b\n1.5,\n2.5,\n")
    command, *options = words
    ended = logpx(command, model, tmp_path / "empty.csv", "-o", tmp_path / "f.csv", "--json", *options)
    assert ended.status == 0, ended.err
    expected = "no row has a value in column 'b': all that is said of rows rests on the other columns"
    assert expected in ended.document["notes"]
    assert f"note: {expected}" in ended.err.splitlines()
    said = any("p-values compare these rows with rows that had" in note for note in ended.document["notes"])
    assert said == (command == "anomalies")


def test_a_value_in_a_later_batch_is_a_value(model: Path):
    from logpx import load
    from logpx.tables import UnseenLabels

    unseen, a = UnseenLabels(), np.zeros(70_000)
    b = np.full(70_000, np.nan)
    b[-1] = 1.0
    list(load(model).score({"a": a, "b": b}, unseen=unseen))
    assert unseen.notes() == []
