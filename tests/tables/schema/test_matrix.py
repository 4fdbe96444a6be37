"""The matrix of a batch, and the one cell that stands in its way."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logpx.errors import DataError
from logpx.tables import Column, Kind, Schema, UnseenLabels, infer_schema, open_table, to_matrix


def schema_of(*names, kind=Kind.CONTINUOUS):
    return Schema(columns=[Column(name=name, kind=kind) for name in names])


def test_modelled_columns_in_the_order_of_the_schema():
    x = np.random.default_rng(0).normal(size=(500, 3))
    table = open_table(
        {"c": x[:, 2], "id": np.arange(500), "a": x[:, 0], "k": np.ones(500), "b": x[:, 1].astype(np.float32)}
    )
    schema = infer_schema(table)
    assert schema.modelled_names == ["c", "a", "b"]
    found = np.concatenate([to_matrix(batch, schema) for batch in table.batches(64)])
    assert (found.dtype, found.flags.c_contiguous) == (np.float64, True)
    np.testing.assert_array_equal(found[:, :2], x[:, [2, 0]])
    np.testing.assert_array_equal(found[:, 2], x[:, 1].astype(np.float32))


def test_huge_finite_numbers_whose_sum_overflows_are_fine():
    values = np.array([[1.7e308, 1.7e308], [-1.7e308, 1e-300]])
    (batch,) = open_table(values).batches()
    np.testing.assert_array_equal(to_matrix(batch, schema_of("x0", "x1")), values)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "missing cell"),
        (np.nan, "missing cell"),
        (np.inf, r"\+inf, expected a finite number"),
        (-np.inf, "-inf, expected a finite number"),
    ],
)
@pytest.mark.parametrize("row", [0, 6, 14])
def test_the_cell_in_the_way_is_named_by_file_row_and_column(tmp_path, cell, message, row):
    values = [float(index) / 2 for index in range(15)]
    values[row] = cell
    for number in range(3):
        part = pa.table(
            {"a": np.arange(5.0), "b": pa.array(values[5 * number : 5 * number + 5], pa.float64())}
        )
        pq.write_table(part, tmp_path / f"{number}.parquet")
    with pytest.raises(DataError, match=message) as caught:
        [to_matrix(batch, schema_of("a", "b")) for batch in open_table(tmp_path).batches(4)]
    assert caught.value.file == str(tmp_path / f"{row // 5}.parquet")
    assert (caught.value.row, caught.value.column) == (row % 5 + 1, "b")
    assert caught.value.fix


def test_refused_columns_name_the_way_out():
    columns = {"a": [1.0, 2.0], "c": [f"text {row % 1001}" for row in range(2)]}
    (batch,) = open_table(pa.table(columns)).batches()
    schema = Schema(columns=[Column(name="a", kind=Kind.CONTINUOUS), Column(name="c", kind=Kind.MIXED)])
    with pytest.raises(DataError, match="numbers and text are mixed") as caught:
        to_matrix(batch, schema)
    assert caught.value.column == "c"
    assert "--columns c=drop" in caught.value.fix


def test_labels_are_codes_in_the_order_of_the_levels():
    (batch,) = open_table({"c": ["y", None, " x", "z"]}).batches()
    schema = Schema(columns=[Column(name="c", kind=Kind.CATEGORICAL, levels=["x", "y"])])
    codes = to_matrix(batch, schema, missing=True, unseen=UnseenLabels())
    np.testing.assert_array_equal(codes, [[1.0], [np.nan], [0.0], [2.0]])
    with pytest.raises(DataError, match="label 'z'") as caught:
        to_matrix(batch, schema, missing=True)
    assert (caught.value.row, caught.value.column) == (4, "c")
    with pytest.raises(DataError, match="missing cell") as caught:
        to_matrix(batch, schema, unseen=UnseenLabels())
    assert caught.value.row == 2


def test_text_where_the_schema_has_numbers():
    (batch,) = open_table({"a": ["1,5", "2,5"]}).batches()
    with pytest.raises(DataError, match="string where a number was expected") as caught:
        to_matrix(batch, schema_of("a"))
    assert "convert the column" in caught.value.fix


def test_a_lacking_column():
    (batch,) = open_table({"Price": [1.0]}).batches()
    with pytest.raises(DataError, match="lacks this column") as caught:
        to_matrix(batch, schema_of("price"))
    assert "'Price'" in caught.value.fix
