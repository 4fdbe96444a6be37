"""Batches: exact sizes, the right rows, the right file and row for each of them, again and again."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.errors import DataError, UsageError
from logpx.tables import open_table


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(sum),
    group=st.integers(1, 7),
    rows=st.integers(1, 40),
)
def test_batches_are_exact_and_know_where_their_rows_are(tmp_path, sizes, group, rows):
    for old in tmp_path.glob("*.parquet"):
        old.unlink()
    start, places = 0, []
    for number, size in enumerate(sizes):
        path = tmp_path / f"part-{number}.parquet"
        column = np.arange(start, start + size, dtype=float)
        pq.write_table(pa.table({"a": column, "b": column * 2}), path, row_group_size=group)
        places += [(str(path), row + 1) for row in range(size)]
        start += size
    table = open_table(tmp_path)
    for _ in range(2):
        batches = list(table.batches(rows))
        assert [batch.rows for batch in batches[:-1]] == [rows] * (len(batches) - 1)
        assert [batch.start for batch in batches] == list(range(0, start, rows))
        np.testing.assert_array_equal(np.concatenate([b.numbers("a") for b in batches]), np.arange(start))
        np.testing.assert_array_equal(np.concatenate([b.numbers("b") for b in batches]), 2 * np.arange(start))
        assert [batch.locate(row) for batch in batches for row in range(batch.rows)] == places
    assert table.count_rows() == start


def test_select_orders_columns_and_suggests_the_nearest_name():
    table = open_table({"price": [1.0], "size": [2.0], "id": [3]})
    selected = table.select(["id", "price"])
    (batch,) = selected.batches()
    assert selected.names == batch.names == ["id", "price"]
    assert batch.columns.to_pydict() == {"id": [3.0], "price": [1.0]}
    with pytest.raises(UsageError, match="no such column") as caught:
        table.select(["prise"])
    assert caught.value.column == "prise"
    assert "'price'" in caught.value.fix


def test_no_rows_is_an_error():
    with pytest.raises(DataError, match="no rows"):
        list(open_table({"a": np.empty(0)}).batches())


def test_batches_of_no_rows_is_an_error():
    with pytest.raises(UsageError, match="batches of 0 rows"):
        list(open_table({"a": [1.0]}).batches(0))


def test_parts_must_agree_in_columns(tmp_path):
    pq.write_table(pa.table({"a": [1.0], "b": [1.0]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": [1.0], "c": [1.0]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"1\.parquet but not here") as caught:
        open_table(tmp_path)
    assert caught.value.column == "a"
    assert caught.value.file.endswith("2.parquet")


def test_parts_must_agree_in_types(tmp_path):
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"holds text \(string\) here, but number") as caught:
        open_table(tmp_path)
    assert (caught.value.column, caught.value.file) == ("a", str(tmp_path / "2.parquet"))


def test_column_order_may_differ_between_files_and_number_types_too(tmp_path):
    pq.write_table(pa.table({"a": [1], "b": [0.5]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": pa.array([2], pa.int8()), "a": [1.5]}), tmp_path / "2.parquet")
    (batch,) = open_table(tmp_path).batches()
    assert batch.columns.to_pydict() == {"a": [1.0, 1.5], "b": [0.5, 2.0]}


def test_text_read_as_numbers_is_named_by_row_and_the_rest_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\nhello,y\n3,z\n")
    table = open_table(path)
    with pytest.raises(DataError, match="'hello' where a number") as caught:
        [batch.numbers("a") for batch in table.select(["a"]).as_numbers().batches()]
    assert (caught.value.file, caught.value.row, caught.value.column) == (str(path), 2, "a")
    path.write_text("a,b\n1,x\n\n2.5,y\n")
    (batch,) = open_table(path, ["a"]).as_numbers().batches()
    assert batch.numbers("a").tolist() == [1.0, 2.5]


@pytest.mark.parametrize("values", [["1", "2"], [True, False], [b"1", b"2"], [[1], [2]]])
def test_what_is_stored_as_something_else_is_not_read_as_numbers(values):
    table = open_table(pa.table({"n": [1.0, 2.0], "a": values}))
    with pytest.raises(DataError, match="numbers were expected") as caught:
        table.as_numbers()
    assert caught.value.column == "a"
