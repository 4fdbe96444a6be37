"""Data in memory: every kind of it gives the same cells."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from logpx.errors import DataError
from logpx.tables import open_table
from logpx.tables.reading.column_types import ColumnType

CELLS = {"a": [1.0, 2.0, 4.0], "b": [0.5, None, -1.0], "c": ["u", "v", None]}

FRAMES = {
    "dict": CELLS,
    "arrow": pa.table(CELLS),
    "pandas": pd.DataFrame(CELLS),
    "polars": pl.DataFrame(CELLS),
    "polars lazy": pl.DataFrame(CELLS).lazy(),
    "dict of arrays": {
        "a": np.array([1, 2, 4], dtype=np.int16),
        "b": torch.tensor([0.5, np.nan, -1.0], dtype=torch.float32),
        "c": np.array(["u", "v", None], dtype=object),
    },
}


@pytest.mark.parametrize("name", FRAMES)
def test_all_frames_give_the_same_cells(name):
    table = open_table(FRAMES[name])
    assert table.names == ["a", "b", "c"]
    assert table.count_rows() == 3
    batches = list(table.batches(rows=2))
    assert [batch.rows for batch in batches] == [2, 1]
    for column in "ab":
        found = np.concatenate([batch.numbers(column) for batch in batches])
        np.testing.assert_array_equal(found, np.array(CELLS[column], dtype=float))
    assert [value for batch in batches for value in batch.columns["c"].to_pylist()] == CELLS["c"]
    assert batches[1].locate(0) == (None, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(3, 2),
        np.arange(6, dtype=np.uint8).reshape(3, 2),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
        np.arange(12.0).reshape(3, 4)[:, ::2] / 2 - np.array([0, 0]) + np.array([[0, 0], [0, 0], [0, 0]]),
        torch.arange(6.0).reshape(3, 2),
        torch.arange(6.0, requires_grad=True).reshape(3, 2),
        torch.arange(6.0, dtype=torch.bfloat16).reshape(3, 2),
        np.ma.masked_invalid(np.arange(6.0).reshape(3, 2)),
    ],
    ids=["float64", "uint8", "fortran", "strided", "tensor", "gradient", "bfloat16", "masked"],
)
def test_arrays_become_numbered_columns(array):
    table = open_table(array)
    assert table.names == ["x0", "x1"]
    matrix = np.column_stack([np.concatenate([b.numbers(n) for b in table.batches(2)]) for n in table.names])
    expected = np.array(array.tolist(), dtype=float)
    np.testing.assert_array_equal(matrix, expected)


def test_masked_cells_are_missing():
    (batch,) = open_table(np.ma.masked_equal(np.array([[1.0], [2.0]]), 2.0)).batches()
    np.testing.assert_array_equal(batch.numbers("x0"), [1.0, np.nan])


@pytest.mark.parametrize(
    "vector", [np.arange(3.0), torch.arange(3.0), pd.Series([0.0, 1.0, 2.0]), pl.Series([0.0, 1, 2])]
)
def test_one_dimension_is_one_column(vector):
    (batch,) = open_table(vector).batches()
    assert batch.columns.to_pydict() == {batch.names[0]: [0.0, 1.0, 2.0]}


def test_structured_arrays_keep_their_names():
    array = np.array([(1, 0.5), (2, 1.5)], dtype=[("n", int), ("x", float)])
    (batch,) = open_table(array).batches()
    assert batch.columns.to_pydict() == {"n": [1.0, 2.0], "x": [0.5, 1.5]}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([True, False]), ColumnType.BOOLEAN),
        (pa.array(["a", "b"]).dictionary_encode(), ColumnType.TEXT),
        (pa.array([1, 2], pa.timestamp("ns")), ColumnType.TIMESTAMP),
        (pa.array([1, 2], pa.duration("s")), ColumnType.TIMESTAMP),
        (pa.array([1, 2], pa.date32()), ColumnType.TIMESTAMP),
        (pa.array([[1], [2]]), ColumnType.OTHER),
        (pa.array([b"a", b"b"]), ColumnType.OTHER),
        (pa.array([None, None]), ColumnType.NUMBER),
        (pa.array([1, 2], pa.decimal128(5, 2)), ColumnType.NUMBER),
        (pa.array([1, 2], pa.float16()), ColumnType.NUMBER),
        (pa.array([1, 2], pa.uint64()), ColumnType.NUMBER),
    ],
)
def test_every_stored_type_has_one_form_to_read(values, kind):
    table = open_table(pa.table({"a": values}))
    assert table.types == {"a": kind}
    (batch,) = table.batches()
    assert batch.columns["a"].type == (
        pa.float64() if kind in (ColumnType.NUMBER, ColumnType.TIMESTAMP) else pa.string()
    )
    assert batch.stored["a"].equals(values)
    assert batch.columns["a"].null_count == values.null_count


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "no columns"),
        ({"a": [1, 2], "b": [1]}, "1 row, but column 'a' has 2"),
        ({"a": [[1, 2]]}, "2 dimensions"),
        ({"a": np.array(["x", 1.5, object()], dtype=object)}, "mixed or unknown type"),
        (np.zeros((2, 2, 2)), "3 dimensions"),
        (np.zeros((2, 0)), "no columns"),
        (np.zeros(3, dtype=complex), "unknown type"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a"),
        (pa.table([[1], [2]], names=["a", "a"]), "this name"),
        (pd.DataFrame({"a": [1, "x"]}), "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_frame_is_named(source, message):
    with pytest.raises(DataError, match=message) as caught:
        list(open_table(source).batches())
    assert caught.value.fix


def test_bytes_are_shown_by_their_type():
    (batch,) = open_table(pa.table({"a": [b"\xff", None]})).batches()
    assert batch.columns["a"].to_pylist() == ["binary", None]
