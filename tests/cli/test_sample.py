"""``logpx sample``: rows of the model, streamed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from logpx import load


@pytest.mark.slow
def test_samples_as_a_process(process, bound: Path, tmp_path: Path):
    output = tmp_path / "samples.parquet"
    ended = process("sample", bound, "-n", "1e3", "-o", output, "--seed", "7", "--json")
    assert ended.status == 0, ended.err
    samples = pyarrow.parquet.read_table(output)
    assert samples.equals(load(bound).sample(1000, seed=7))
    assert samples.schema.field("count").type == pa.int64()
    assert ended.document == {
        "output": str(output),
        "rows": 1000,
        "columns": ["count", "a", "b"],
        "seed": 7,
    }


def test_first_rows_do_not_depend_on_how_many_are_drawn(logpx, exact: Path):
    few, many = (logpx("sample", exact, "-n", n, "-q").out for n in (5, 70_000))
    assert many.startswith(few)
    assert len(many.splitlines()) == 70_001


def test_seed_changes_the_rows(logpx, exact: Path):
    assert logpx("sample", exact, "-n", 5).out != logpx("sample", exact, "-n", 5, "--seed", "1").out


def test_no_rows_give_a_header(logpx, exact: Path):
    ended = logpx("sample", exact, "-n", 0)
    assert (ended.status, ended.out) == (0, "a,b\n")


def test_samples_can_be_scored(logpx, bound: Path, tmp_path: Path):
    assert logpx("sample", bound, "-n", 200, "-o", tmp_path / "samples.csv").status == 0
    ended = logpx("score", bound, tmp_path / "samples.csv")
    assert ended.status == 0, ended.err
    scores = pyarrow.csv.read_csv(pa.BufferReader(ended.out.encode()))
    assert scores.num_rows == 200


def test_json_and_rows_cannot_share_stdout(logpx, exact: Path):
    assert logpx("sample", exact, "-n", 5, "--json").status == 2


def test_existing_output_needs_overwrite(logpx, exact: Path, tmp_path: Path):
    output = tmp_path / "samples.csv"
    output.write_text("mine")
    assert logpx("sample", exact, "-n", 5, "-o", output).status == 2
    assert output.read_text() == "mine"
