"""``logpx drift``: new rows beside those that a model has not seen."""

import json
from pathlib import Path

import pytest


def test_rows_of_the_same_kind(logpx, tables: Path, exact: Path):
    ended = logpx("drift", exact, tables / "test.csv")
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "400 new rows beside 100 that the model has not seen"
    assert lines[1].startswith("mean log p(x), nats per row: ")
    assert lines[-1].startswith("no sign that the distribution has moved")


def test_a_column_that_moved(logpx, tables: Path, exact: Path, tmp_path: Path):
    header, *rows = (tables / "test.csv").read_text().splitlines()
    moved = [f"{row.split(',')[0]},{float(row.split(',')[1]) + 3.0}" for row in rows]
    (tmp_path / "new.csv").write_text("\n".join([header, *moved, ""]))
    ended = logpx("drift", exact, tmp_path / "new.csv", "--json", "--alpha", "0.01")
    assert ended.status == 0, ended.err
    document = json.loads(ended.out)
    assert document["moved"] is True
    assert document["moved_columns"][0] == "b"
    assert "moved: 'b': distance" in logpx("drift", exact, tmp_path / "new.csv").out


@pytest.mark.parametrize(
    ("words", "status"), [(["nothing.csv"], 2), (["{test}", "--alpha", "2"], 2), (["{counts}"], 3)]
)
def test_mistakes(logpx, tables: Path, exact: Path, words: list[str], status: int):
    names = {"test": str(tables / "test.csv"), "counts": str(tables / "test-counts.csv")}
    ended = logpx("drift", exact, *[word.format(**names) for word in words])
    assert ended.status == status, ended.err
    assert "fix: " in ended.err
