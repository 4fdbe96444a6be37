"""Written tables read back equal, appear whole or not at all, and never replace a file by surprise."""

import errno
import os
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.errors import ResourceError, UsageError
from logpx.tables import open_table, open_writer
from logpx.tables.reading.csv_layout import is_number

per_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FORMATS = ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz", "a.parquet"]

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
headers = st.lists(names, min_size=1, max_size=4, unique=True).filter(
    lambda header: any(name.strip() and not is_number(name) for name in header)
)


@per_folder
@given(header=headers, form=st.sampled_from(FORMATS), data=st.data())
def test_any_floats_under_any_names_read_back(tmp_path, header, form, data):
    cells = st.lists(st.floats() | st.none(), min_size=len(header), max_size=len(header))
    pieces = data.draw(st.lists(st.lists(cells, min_size=1, max_size=4), min_size=1, max_size=3))
    with open_writer(tmp_path / form, header, overwrite=True) as writer:
        for rows in pieces:
            columns = [pa.array(list(column), pa.float64()) for column in zip(*rows, strict=True)]
            writer.write(dict(zip(header, columns, strict=True)))
    table = open_table(tmp_path / form)
    assert table.names == header
    found = np.concatenate([np.column_stack([b.numbers(name) for name in header]) for b in table.batches()])
    np.testing.assert_array_equal(found, np.array([row for rows in pieces for row in rows], dtype=float))


@pytest.mark.parametrize("form", FORMATS)
def test_pandas_reads_what_is_written(tmp_path, form):
    schema = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("t", pa.string())])
    expected = pd.DataFrame({"n": [1, -2], "x": [0.1, 1e-300], "t": ['a "quoted", one', "two\nlines"]})
    with open_writer(tmp_path / form, schema) as writer:
        writer.write(pa.RecordBatch.from_pandas(expected))
        assert writer.rows == 2
    if form.endswith("parquet"):
        found = pd.read_parquet(tmp_path / form)
    else:
        found = pd.read_csv(tmp_path / form, sep="\t" if ".tsv" in form else ",")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_matrices_are_columns_in_order(tmp_path):
    x = np.random.default_rng(0).normal(size=(10, 2))
    with open_writer(tmp_path / "a.csv", ["u", "v"]) as writer:
        writer.write(x)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1), x)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_left_behind_by_a_failure(tmp_path, form):
    (tmp_path / form).write_bytes(b"precious")
    writer = open_writer(tmp_path / form, ["a"], overwrite=True)
    with pytest.raises(UsageError, match="columns"), writer:
        assert writer.write({"a": [1.0]}) is writer.write({"b": [1.0]})
    assert [path.name for path in tmp_path.iterdir()] == [form]
    assert (tmp_path / form).read_bytes() == b"precious"


def test_an_existing_file_needs_permission_to_be_replaced(tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("precious")
    with pytest.raises(UsageError, match="already exists") as caught:
        open_writer(target, ["a"])
    assert "--overwrite" in caught.value.fix
    assert target.read_text() == "precious"
    with open_writer(target, ["a"], overwrite=True) as writer:
        writer.write({"a": [1.0]})
    assert target.read_text() == "a\n1\n"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    target = tmp_path / "a.csv"
    writer = open_writer(target, ["a"])
    writer.write({"a": [1.0]})
    with pytest.raises(UsageError, match="already exists"), writer:
        target.write_text("precious")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert target.read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("a.xlsx", UsageError, "extension"),
        (".", UsageError, "extension|folder"),
        ("nowhere/a.csv", ResourceError, "cannot be written"),
    ],
)
def test_what_cannot_be_written_to(tmp_path, path, error, message):
    with pytest.raises(error, match=message) as caught:
        open_writer(tmp_path / path, ["a"])
    assert caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_table_name_is_no_output(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        open_writer(tmp_path / "a.csv", ["a"], overwrite=True)


@pytest.mark.parametrize("columns", [{"b": [1.0]}, {"a": [1.0], "b": [2.0]}, np.zeros((1, 2)), np.zeros(3)])
def test_columns_must_be_those_of_the_table(tmp_path, columns):
    with pytest.raises(UsageError, match="column"), open_writer(tmp_path / "a.csv", ["a"]) as writer:
        writer.write(columns)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_is_full_at_the_end_leaves_the_old_file(tmp_path, monkeypatch, name):
    (tmp_path / "a.csv").write_text("precious")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, name, full)
    with (
        pytest.raises(ResourceError, match="No space left") as caught,
        open_writer(tmp_path / "a.csv", ["a"], overwrite=True) as writer,
    ):
        writer.write({"a": [1.0]})
    assert "free some space" in caught.value.fix
    assert caught.value.exit_code == 6
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


WRITE = """
import resource, sys
import numpy as np
from logpx.errors import ResourceError
from logpx.tables.writer import open_writer
path, limit = sys.argv[1], int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with open_writer(path, ["a"]) as writer:
        for _ in range(20):
            writer.write(np.random.default_rng(0).normal(size=(5000, 1)))
except ResourceError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs file size limits")
@pytest.mark.parametrize(
    "form", ["a.csv", *(pytest.param(name, marks=pytest.mark.slow) for name in ("a.parquet", "a.csv.gz"))]
)
def test_a_real_write_that_fails_leaves_nothing(tmp_path, form):
    run = subprocess.run(
        [sys.executable, "-c", WRITE, tmp_path / form, "100000"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 6, run.stderr
    assert "fix: raise the limit on file sizes" in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.slow
def test_a_full_standard_output():
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [sys.executable, "-c", WRITE, "-", "0"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "standard output: the table cannot be written" in run.stderr
    assert "Traceback" not in run.stderr


def test_standard_output_is_csv():
    run = subprocess.run([sys.executable, "-c", WRITE, "-", "0"], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert (lines[0], len(lines)) == ("a", 100_001)
    np.testing.assert_array_equal(
        np.array(lines[1:5001], dtype=float), np.random.default_rng(0).normal(size=5000)
    )
