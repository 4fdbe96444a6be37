"""Parquet: the cells as pyarrow wrote them, in flat memory, and typed errors for damaged files."""

import resource
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.errors import DataError, LogpxError
from logpx.tables import open_table

per_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

tables = st.dictionaries(st.text(max_size=6), st.just(None), min_size=1, max_size=4).flatmap(
    lambda names: st.lists(
        st.lists(st.floats() | st.none(), min_size=len(names), max_size=len(names)), min_size=1, max_size=20
    ).map(lambda rows: dict(zip(names, zip(*rows, strict=True), strict=True)))
)


@per_folder
@given(tables, st.integers(1, 25))
def test_any_floats_under_any_names_read_back(tmp_path, columns, rows):
    path = tmp_path / "a.parquet"
    written = pa.table({name: pa.array(list(values), pa.float64()) for name, values in columns.items()})
    try:
        pq.write_table(written, path)
    except (UnicodeEncodeError, pa.ArrowException):  # A name that Parquet itself cannot store.
        return
    table = open_table(path)
    assert table.names == list(columns)
    assert table.count_rows() == written.num_rows
    for name, values in columns.items():
        found = np.concatenate([batch.numbers(name) for batch in table.batches(rows)])
        np.testing.assert_array_equal(found, np.array(values, dtype=float))


def test_names_with_dots_are_names(tmp_path):
    pq.write_table(pa.table({"a.b": [1.0], "a": [2.0], "a.c": [3.0]}), tmp_path / "a.parquet")
    (batch,) = open_table(tmp_path / "a.parquet", columns=["a", "a.b"]).batches()
    assert batch.columns.to_pydict() == {"a": [2.0], "a.b": [1.0]}


def test_nested_columns_do_not_disturb_the_others(tmp_path):
    pq.write_table(pa.table({"s": [{"x": 1}, None], "a": [1.5, 2.5]}), tmp_path / "a.parquet")
    (batch,) = open_table(tmp_path / "a.parquet").batches()
    assert batch.columns["a"].to_pylist() == [1.5, 2.5]
    assert batch.columns["s"].null_count == 1


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n" * 10])
def test_what_is_no_parquet_file_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        open_table(tmp_path / "a.parquet")
    assert caught.value.file == str(tmp_path / "a.parquet")


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": np.random.default_rng(0).normal(size=5000)}), path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        open_table(path)


def test_two_columns_of_one_name(tmp_path):
    pq.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="2 columns have this name") as caught:
        open_table(tmp_path / "a.parquet")
    assert caught.value.column == "a"


@per_folder
@given(st.integers(0, 3000), st.binary(min_size=1, max_size=3))
def test_any_damage_gives_cells_or_a_typed_error(tmp_path, place, patch):
    path = tmp_path / "a.parquet"
    if not (tmp_path / "good").exists():
        pq.write_table(pa.table({"a": np.arange(200.0), "b": [f"t{row}" for row in range(200)]}), path)
        (tmp_path / "good").write_bytes(path.read_bytes())
    good = (tmp_path / "good").read_bytes()
    place = place % len(good)
    path.write_bytes(good[:place] + patch + good[place + len(patch) :])
    try:
        batches = list(open_table(path).batches(50))
    except LogpxError as refusal:
        error = refusal
    else:
        error = None
    assert error.fix if error else batches


MEASURE = """
import resource, sys
from logpx.tables import open_table
table = open_table(sys.argv[1])
next(table.batches())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(batch.rows for batch in table.batches())
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not hasattr(resource, "getrusage"), reason="needs getrusage")
def test_one_huge_row_group_streams_in_flat_memory(tmp_path):
    path = tmp_path / "a.parquet"
    rows = 800_000
    values = np.random.default_rng(0).normal(size=rows)
    table = pa.table({f"c{index}": values for index in range(8)})
    pq.write_table(table, path, row_group_size=rows, use_dictionary=False, compression="none")
    del table
    run = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    read, grown = map(int, run.stdout.split())
    assert read == rows
    assert grown < 25_000  # Kilobytes; the cells are 51 megabytes.
