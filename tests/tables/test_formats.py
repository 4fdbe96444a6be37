"""What is written in any format is read back by its extension, and by other programs."""

import json
import lzma
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import open_table, open_writer
from logpx.tables.formats import TABLE_FORMATS, extension_by_content
from logpx.tables.reading.compression import COMPRESSIONS, content_command

ROWS = {"a": np.array([0.1, -2.5, 1e300]), "b": np.array([1.5, 2.0, 3.0])}
TEXT = "a,b\n1,x\n2.5,y\n"

# What else reads such files, by the beginning of their extension.
PANDAS = {
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": pd.read_feather,
    ".csv": pd.read_csv,
    ".tsv": pd.read_table,
    ".jsonl": lambda path: pd.read_json(path, lines=True, precise_float=True),
    ".ndjson": lambda path: pd.read_json(path, lines=True, precise_float=True),
}
WITH_PANDAS = {"", ".gz", ".bz2", ".xz"}


def cells(path):
    pieces = [batch.columns.to_pydict() for batch in open_table(path).batches()]
    return {name: [cell for piece in pieces for cell in piece[name]] for name in pieces[0]}


@pytest.mark.parametrize(
    "extension", [name for name, one in TABLE_FORMATS.items() if one.encoder is not None]
)
def test_rows_survive(extension: str, tmp_path):
    path = tmp_path / f"rows{extension}"
    with open_writer(path, list(ROWS)) as writer:
        writer.write(ROWS)
    (batch,) = open_table(path).batches()
    for name, column in ROWS.items():
        np.testing.assert_array_equal(batch.numbers(name), column)
    plain = "." + extension.split(".")[1]
    if extension.removeprefix(plain) in WITH_PANDAS:
        pd.testing.assert_frame_equal(PANDAS[plain](path), pd.DataFrame(ROWS))


def test_what_is_only_read_is_not_written(tmp_path):
    for extension in (name for name, one in TABLE_FORMATS.items() if one.encoder is None):
        with pytest.raises(UsageError, match="files with this extension cannot be written"):
            open_writer(tmp_path / f"rows{extension}", ["a"])


def test_values_that_are_not_finite_as_json(tmp_path):
    path = tmp_path / "a.jsonl"
    with open_writer(path, ["a"]) as writer:
        writer.write({"a": np.array([np.nan, -np.inf, 1.0])})
    assert [json.loads(line)["a"] for line in path.read_text().splitlines()] == [None, -np.inf, 1.0]
    assert cells(path)["a"] == [None, -np.inf, 1.0]


@pytest.mark.parametrize("extension", COMPRESSIONS)
def test_compressed_text_is_read_and_its_damage_found(extension: str, tmp_path):
    path = tmp_path / f"a.csv{extension}"
    with open_writer(path, pa.schema([("a", pa.float64()), ("b", pa.string())])) as writer:
        writer.write({"a": [1, 2.5] * 10_000, "b": ["x", "y"] * 10_000})
    assert cells(path)["a"][:2] == [1, 2.5]
    assert extension_by_content(str(path)) == f".txt{extension}"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError) as caught:
        cells(path)
    assert caught.value.fix
    assert str(path) in str(caught.value)


def test_the_command_that_shows_the_content(tmp_path):
    path = tmp_path / "a b.csv.xz"
    path.write_bytes(lzma.compress(TEXT.encode()))
    shown = subprocess.run(content_command(str(path)), shell=True, capture_output=True, check=True, text=True)
    assert shown.stdout == TEXT


@pytest.mark.parametrize("write", [pa.feather.write_feather, pa.orc.write_table], ids=["arrow", "orc"])
def test_typed_columns_of_other_programs(write, tmp_path):
    table = pa.table({"n": [1, None, 3], "t": ["x", "y", None], "a.b": [0.5, 1.5, 2.5]})
    path = tmp_path / ("a.orc" if write is pa.orc.write_table else "a.feather")
    write(table, str(path))
    assert cells(path) == {"n": [1.0, None, 3.0], "t": ["x", "y", None], "a.b": [0.5, 1.5, 2.5]}
    assert open_table(path).count_rows() == 3
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="not a readable"):
        cells(path)


def test_an_arrow_stream(tmp_path):
    table = pa.table({"a": [1.0, 2.0]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert cells(tmp_path / "a.arrow") == {"a": [1.0, 2.0]}


def test_an_extension_that_says_nothing_leaves_the_content_to_tell(tmp_path):
    pa.parquet.write_table(pa.table({"a": [1.0]}), tmp_path / "part-0")
    pa.parquet.write_table(pa.table({"a": [1.0]}), tmp_path / "a.csv")
    (tmp_path / "a.dat").write_text("a b\n1 2\n")
    (tmp_path / "a.json").write_text('{"a": 1}\n')
    assert (
        cells(tmp_path / "part-0") == cells(tmp_path / "a.csv") == cells(tmp_path / "a.json") == {"a": [1.0]}
    )
    assert cells(tmp_path / "a.dat") == {"a": [1.0], "b": [2.0]}
    (tmp_path / "a.bin").write_bytes(b"\0\1\2" * 100)
    with pytest.raises(UsageError, match="not of a format") as caught:
        open_table(tmp_path / "a.bin")
    assert ".parquet" in caught.value.fix


@pytest.mark.parametrize("extension", [".dta", ".npz", ".pkl"])
def test_the_command_that_converts_works(extension: str, tmp_path):
    path = tmp_path / f"it's a{extension}"
    frame = pd.DataFrame({"x0": [1.5, 2.5], "x1": [3.0, 4.0]})
    write = {
        ".dta": lambda: frame.to_stata(path, write_index=False),
        ".npz": lambda: np.savez(path, rows=frame.to_numpy()),
        ".pkl": lambda: frame.to_pickle(path),
    }
    write[extension]()
    with pytest.raises(UsageError, match="not read from files of this format") as caught:
        open_table(path)
    command = caught.value.fix.partition("convert it: ")[2].rpartition(" (needs ")[0]
    command = command.replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True)
    assert cells(path.with_suffix(".csv")) == {"x0": [1.5, 2.5], "x1": [3.0, 4.0]}


@pytest.mark.parametrize("name", ["a.xls", "a.sav", "a.sas7bdat", "a.rds", "a.zip", "a.sqlite"])
def test_a_format_that_is_not_read_says_how_to_convert(name: str, tmp_path):
    (tmp_path / name).write_bytes(b"\0")
    with pytest.raises(UsageError) as caught:
        open_table(tmp_path / name)
    assert str(tmp_path / name) in caught.value.fix
    assert "rename" not in caught.value.fix
