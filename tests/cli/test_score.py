"""``logpx score``: the numbers of the model, for any table, or an error that says where."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from logpx import load


@pytest.mark.slow
def test_exact_scores_as_a_process(process, exact: Path, tables: Path, tmp_path: Path):
    output = tmp_path / "scores.parquet"
    ended = process("score", exact, tables / "test.csv", "-o", output, "--json")
    assert ended.status == 0, ended.err
    scores = pyarrow.parquet.read_table(output)
    assert scores.column_names == ["row", "log_prob"]
    expected = load(exact).log_prob(tables / "test.csv").numpy()
    assert np.array_equal(scores["log_prob"].to_numpy(), expected)
    document = ended.document
    assert document["kind"] == "exact"
    assert document["rows"] == 400
    assert document["mean"] == pytest.approx(expected.mean(), rel=1e-12)
    assert document["standard_error"] == pytest.approx(expected.std(ddof=1) / 20, rel=1e-12)
    assert document["lowest"] == expected.min()


def test_bound_is_named_and_has_an_error(logpx, bound: Path, tables: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    words = ["score", bound, tables / "test-counts.csv", "-o", output, "--seed", "5", "--draws", "4"]
    assert logpx(*words).status == 0
    scores = pyarrow.csv.read_csv(output)
    assert scores.column_names == ["row", "log_prob_lower", "log_prob_se"]
    expected = load(bound).log_prob(tables / "test-counts.csv", seed=5, draws=4).numpy()
    assert np.array_equal(scores["log_prob_lower"].to_numpy(), expected)
    assert (scores["log_prob_se"].to_numpy() > 0).any()


def test_scores_on_stdout_are_csv_and_nothing_else(logpx, exact: Path, tables: Path):
    ended = logpx("score", exact, tables / "test.csv")
    assert ended.status == 0
    scores = pyarrow.csv.read_csv(pa.BufferReader(ended.out.encode()))
    assert np.array_equal(scores["log_prob"].to_numpy(), load(exact).log_prob(tables / "test.csv").numpy())
    assert "400 rows" in ended.err
    assert logpx("score", exact, tables / "test.csv", "-q").err == ""


def test_order_of_columns_and_unmodelled_columns_do_not_matter(
    logpx, bound: Path, tables: Path, tmp_path: Path
):
    table = pyarrow.csv.read_csv(tables / "test-counts.csv")
    pyarrow.csv.write_csv(table.select(["b", "count", "a"]), tmp_path / "other.csv")
    first = logpx("score", bound, tables / "test-counts.csv")
    assert logpx("score", bound, tmp_path / "other.csv").out == first.out


def test_json_and_scores_cannot_share_stdout(logpx, exact: Path, tables: Path):
    ended = logpx("score", exact, tables / "test.csv", "--json")
    assert ended.status == 2
    assert "-o" in ended.document["error"]["fix"]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a"], "'b'"), (["a", "b", "more"], "'more'")],
    ids=["lacks a column", "has one more"],
)
def test_other_columns(logpx, exact: Path, tables: Path, tmp_path: Path, names: list[str], message: str):
    table = pyarrow.csv.read_csv(tables / "test.csv")
    table = table.append_column("more", table["a"]).select(names)
    pyarrow.csv.write_csv(table, tmp_path / "new.csv")
    ended = logpx("score", exact, tmp_path / "new.csv", "-o", tmp_path / "scores.csv")
    assert ended.status == 3
    assert message in ended.err
    assert "new.csv" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


@pytest.mark.parametrize(("cell", "message"), [("inf", "finite"), ("x", "row 21, column 'b': text 'x'")])
def test_bad_cell_is_located_and_nothing_is_written(
    logpx, exact: Path, tmp_path: Path, cell: str, message: str
):
    (tmp_path / "new.csv").write_text("a,b\n" + "1.5,2.5\n" * 20 + f"1.5,{cell}\n")
    ended = logpx("score", exact, tmp_path / "new.csv", "-o", tmp_path / "scores.csv")
    assert ended.status == 3
    assert message in ended.err
    assert "'b'" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_rows_with_missing_cells_are_scored(logpx, exact: Path, tmp_path: Path):
    (tmp_path / "new.csv").write_text("a,b\n1.5,2.5\n1.5,\n,\n")
    ended = logpx("score", exact, tmp_path / "new.csv", "-q")
    assert ended.status == 0, ended.err
    assert float(ended.out.split()[-1]) == 0.0


def test_existing_output_needs_overwrite(logpx, exact: Path, tables: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    output.write_text("mine")
    words = ["score", exact, tables / "test.csv", "-o", output]
    ended = logpx(*words)
    assert ended.status == 2
    assert "--overwrite" in ended.err
    assert output.read_text() == "mine"
    assert logpx(*words, "--overwrite").status == 0
    assert output.read_text() != "mine"


@pytest.mark.parametrize(("name", "status"), [("scores.xlsx", 2), ("nowhere/scores.csv", 6), (".", 2)])
def test_output_that_cannot_be_written(
    logpx, exact: Path, tables: Path, tmp_path: Path, name: str, status: int
):
    ended = logpx("score", exact, tables / "test.csv", "-o", tmp_path / name)
    assert ended.status == status
    assert "fix: " in ended.err


def test_unknown_device(logpx, exact: Path, tables: Path):
    ended = logpx("score", exact, tables / "test.csv", "--device", "nowhere")
    assert ended.status == 2
    assert "--device cpu" in ended.err


@pytest.mark.parametrize("table", ["test.csv", "*.csv", "."])
def test_scores_never_replace_the_table(logpx, exact: Path, tables: Path, tmp_path: Path, table: str):
    content = (tables / "test.csv").read_bytes()
    (tmp_path / "test.csv").write_bytes(content)
    output = tmp_path / "test.csv"
    ended = logpx("score", exact, tmp_path / table, "-o", output, "--overwrite")
    assert ended.status == 2
    assert "the table being read" in ended.err
    assert output.read_bytes() == content
