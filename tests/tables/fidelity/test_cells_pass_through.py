"""Every cell that is not filled in is the cell that was read, in value, text and type."""

import csv
import datetime
import decimal
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.tables import fit_table, open_table
from logpx.tables.reading.number_notation import NumberNotation

ROWS = 12
few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TYPES = {
    pa.int8(): 100,
    pa.int16(): 1000,
    pa.int32(): 10**6,
    pa.int64(): 2**62,
    pa.uint8(): 200,
    pa.uint16(): 1000,
    pa.uint32(): 10**6,
    pa.uint64(): 2**63,
}
INSTANT = datetime.datetime(2023, 6, 23, 12, 30)


def cells(kind: pa.DataType, seed: int) -> pa.Array:
    """Return cells of a type that are hard to keep."""
    generator = np.random.default_rng(seed)
    whole = [int(value) for value in generator.integers(0, TYPES.get(kind, 86_000), ROWS)]
    types = pa.types
    if kind in TYPES:
        return pa.array(whole, kind)
    if types.is_floating(kind):
        return pa.array(generator.normal(size=ROWS).astype(kind.to_pandas_dtype()))
    if types.is_decimal(kind):
        return pa.array([decimal.Decimal(value).scaleb(-2) for value in whole], kind)
    if types.is_boolean(kind):
        return pa.array([True, False] * (ROWS // 2))
    if types.is_dictionary(kind):
        return pa.array(["a", "b", "a", "c"] * (ROWS // 4)).cast(kind)
    if types.is_time(kind) or types.is_duration(kind):
        return pa.array(whole, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    if types.is_temporal(kind):
        times = pa.array([INSTANT + datetime.timedelta(days=value % 99, seconds=value) for value in whole])
        return times.cast(pa.timestamp("us", getattr(kind, "tz", None))).cast(kind, safe=False)
    if types.is_nested(kind):
        return pa.array([[1, row] for row in range(ROWS)], kind)
    if types.is_binary(kind):
        return pa.array([bytes([row, 255]) for row in range(ROWS)])
    return pa.array(["NA", " x", "x", "1.10"] * (ROWS // 4)).cast(kind)


KINDS = [
    *TYPES,
    pa.float32(),
    pa.float64(),
    pa.decimal128(9, 2),
    pa.bool_(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.timestamp("us", "Europe/Berlin"),
    pa.timestamp("ns"),
    pa.date32(),
    pa.date64(),
    pa.time32("s"),
    pa.time64("us"),
    pa.duration("ms"),
    pa.binary(),
    pa.list_(pa.int64()),
]
FILLED = KINDS[:-2]


@pytest.fixture(scope="module")
def anchor() -> np.ndarray:
    return np.random.default_rng(1000).normal(size=ROWS)


@few
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_a_table_without_holes_comes_back_whole(tmp_path: Path, anchor: np.ndarray, kinds: list, seed: int):
    columns = {f"c{index}": cells(kind, seed + index) for index, kind in enumerate(kinds)}
    table = pa.table({"x": anchor, **columns})
    pq.write_table(table, tmp_path / "a.parquet")
    stored = pq.read_table(tmp_path / "a.parquet")
    unknown = (pa.binary(), pa.list_(pa.int64()))
    left_out = {name: "drop" for name, column in columns.items() if column.type in unknown}
    model = fit_table(stored, "gaussian", columns=left_out, max_time=1.0).model
    for source in (stored, tmp_path / "a.parquet"):
        assert model.impute(source).equals(stored)
        assert model.impute_schema(source) == stored.schema


def test_a_filled_cell_has_the_type_of_its_column(anchor: np.ndarray):
    columns = {str(kind): cells(kind, 1 + place) for place, kind in enumerate(FILLED)}
    # Labels repeat, and numbers are told apart from names.
    pinned = {
        str(kind): "integer" if kind.bit_width < 64 else "continuous"
        for kind in FILLED
        if pa.types.is_integer(kind)
    }
    table = pa.table({"x": anchor, **columns})
    model = fit_table(table, "gaussian", columns=pinned, max_time=2.0).model
    holes = table
    for place, (name, column) in enumerate(columns.items(), 1):
        rows = [None if row == 3 else column[row].as_py() for row in range(ROWS)]
        places = pa.array([None if row is None else index for index, row in enumerate(rows)], pa.int64())
        holed = pa.array(rows, column.type) if column.type == pa.string_view() else column.take(places)
        holes = holes.set_column(place, name, holed)
    filled, drawn = model.impute(holes), model.sample(5)
    assert filled.schema == table.schema
    assert drawn.schema.equals(table.schema)
    there = [row for row in range(ROWS) if row != 3]
    for name, column in columns.items():
        assert filled.column(name).null_count == 0
        assert [filled.column(name)[row] for row in there] == [column[row] for row in there]


CSV = """id,zip,price,label,word,note
500000000000007922,00501,3.50,1.10,NA,"a, ""b\"""
500000000000007986,01001,2.25, x,yes,NA
500000000000008050,00502,,1.10,yes,?
500000000000008114,00503,1.75, x,no,"line
break"
500000000000008178,00504,9.00,1.10,no,
500000000000008242,00505,4.50, x,no,-
"""


def test_the_text_of_a_csv_cell_is_kept(logpx_main, tmp_path: Path):
    (tmp_path / "a.csv").write_text(CSV)
    folder = tmp_path / "model"
    options = ["--model", "gaussian", "--columns", "note=drop", "-q"]
    assert logpx_main("fit", tmp_path / "a.csv", "-o", folder, *options) == 0
    assert logpx_main("impute", folder, tmp_path / "a.csv", "-o", tmp_path / "b.csv", "-q") == 0
    texts = [(tmp_path / name).read_text() for name in ("a.csv", "b.csv")]
    before, after = (list(csv.reader(io.StringIO(text))) for text in texts)
    assert len(before) == len(after)
    for row, filled in zip(before, after, strict=True):
        for name, old, new in zip(before[0], row, filled, strict=True):
            if old == "" and name == "price":
                assert len(new.partition(".")[2]) == 2
            elif old == "NA" and name == "word":
                assert new in ("yes", "no")
            else:
                assert new == old


@pytest.mark.parametrize("command", ["score", "cluster"])
def test_scores_and_clusters_stand_beside_the_cells(logpx_main, tmp_path: Path, command: str):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 40))
    table = pa.table({"id": pa.array(2**60 + np.arange(40) * 7), "x": pa.array(x, pa.float32()), "y": y})
    pq.write_table(table, tmp_path / "a.parquet")
    words = ["--model", "gmm", "--components", "2", "-q"]
    assert logpx_main("fit", tmp_path / "a.parquet", "-o", tmp_path / "m", *words) == 0
    target = ["-o", tmp_path / "b.parquet", "--keep", "-q"]
    assert logpx_main(command, tmp_path / "m", tmp_path / "a.parquet", *target) == 0
    written = pq.read_table(tmp_path / "b.parquet")
    assert written.select(table.column_names).equals(table)
    assert len(written.column_names) > 3


def test_a_blank_line_of_a_single_column_is_a_missing_cell(tmp_path: Path):
    (tmp_path / "a.csv").write_text("\n\na\n1\n\n3\n")
    (batch,) = open_table(tmp_path / "a.csv").batches()
    np.testing.assert_array_equal(batch.numbers("a"), [1.0, np.nan, 3.0])
    assert open_table(tmp_path / "a.csv").count_rows() == 3


@pytest.mark.parametrize(
    ("stored", "most"),
    [
        (pa.decimal128(5, 2), decimal.Decimal("999.99")),
        (pa.decimal128(5, -2), decimal.Decimal("9999900")),
        (pa.decimal128(3, 3), decimal.Decimal("0.999")),
        (pa.int8(), 127),
    ],
    ids=str,
)
def test_numbers_are_written_within_their_type(stored: pa.DataType, most: object):
    cells = NumberNotation().write(np.array([1e300, 0.0, -1e300]), stored)
    assert cells.type == stored
    assert cells.to_pylist() == [most, 0, -most if most != 127 else -128]


def test_decimals_that_are_objects_have_room_for_larger_ones():
    generator = np.random.default_rng(0)
    prices = [decimal.Decimal(int(value)).scaleb(-2) for value in generator.integers(0, 99_999, 60)]
    for table in (pd.DataFrame({"a": prices, "b": range(60)}), {"a": prices, "b": np.arange(60)}):
        model = fit_table(table, "gaussian", columns={"a": "continuous"}, max_time=1).model
        drawn = model.sample(500).column("a").to_pylist()
        assert max(drawn) > 1000
        assert all(value == round(value, 2) for value in drawn)
