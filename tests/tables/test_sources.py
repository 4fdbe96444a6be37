"""What can be opened, and the errors for what cannot."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import open_table


def numbers(table):
    return {name: np.concatenate([b.numbers(name) for b in table.batches()]).tolist() for name in table.names}


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(["b.csv", "a.csv", "c.csv"]):
        (tmp_path / name).write_text(f"x,y\n{number},{number}.5\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.csv").write_text("z\n1\n")
    (tmp_path / "notes.txt").write_text("none of our business")
    return tmp_path


def test_a_folder_is_read_in_the_order_of_names(folder):
    assert numbers(open_table(folder)) == {"x": [1.0, 0.0, 2.0], "y": [1.5, 0.5, 2.5]}


def test_a_pattern_is_read_in_the_order_of_names(folder):
    assert numbers(open_table(f"{folder}/[bc].csv"))["x"] == [0.0, 2.0]


def test_columns_select_and_order(folder):
    assert open_table(folder / "a.csv", columns=["y", "x"]).names == ["y", "x"]
    assert numbers(open_table(folder / "a.csv", columns=["y"])) == {"y": [1.5]}


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    (tmp_path / "a[1].csv").write_text("x\n7\n")
    assert numbers(open_table(tmp_path / "a[1].csv")) == {"x": [7.0]}


def test_a_missing_path_suggests_a_near_one(folder):
    with pytest.raises(UsageError, match="no such file") as caught:
        open_table(folder / "a.cvs")
    assert str(folder / "a.csv") in caught.value.fix


@pytest.mark.parametrize("path", ["nowhere/at/all.csv", "*.parquet"])
def test_nothing_there_is_a_usage_error(tmp_path, path):
    with pytest.raises(UsageError) as caught:
        open_table(tmp_path / path)
    assert caught.value.fix


def test_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert numbers(open_table("~/a.csv")) == {"x": [1.0], "y": [1.5]}
    assert numbers(open_table("~/[bc].csv"))["x"] == [0.0, 2.0]


def test_a_folder_without_tables_says_what_is_there(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"notes\.txt"):
        open_table(tmp_path)


def test_formats_do_not_mix_in_a_folder(folder):
    pq.write_table(pa.table({"x": [1.0], "y": [1.0]}), folder / "a.parquet")
    with pytest.raises(DataError, match="different formats"):
        open_table(folder)


def test_a_special_file_is_a_usage_error(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        open_table(tmp_path / "pipe.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_a_data_error(folder):
    (folder / "a.csv").chmod(0)
    with pytest.raises(DataError, match=r"cannot be opened"):
        open_table(folder / "a.csv")


@pytest.mark.parametrize("source", [3, None, object(), [[1.0]]])
def test_what_is_no_table_is_a_usage_error(source):
    with pytest.raises(UsageError, match="is not a table"):
        open_table(source)
