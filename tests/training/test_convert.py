import warnings

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import torch

from logpx.errors import DataError
from logpx.training.convert import as_rows, as_weights, column_names, is_table

VALUES = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
FORMS = {
    "list": VALUES,
    "tensor": torch.tensor(VALUES),
    "half": torch.tensor(VALUES, dtype=torch.float16),
    "array": np.array(VALUES),
    "integers": np.array(VALUES, dtype=np.uint16),
    "big-endian": np.array(VALUES, dtype=">f8"),
    "fortran": np.asfortranarray(VALUES),
    "reversed": np.array(VALUES)[::-1][::-1],
    "pandas": pandas.DataFrame(VALUES, columns=["a", "b"]),
    "pandas-unnamed": pandas.DataFrame(VALUES),
    "pandas-nullable": pandas.DataFrame(VALUES, columns=["a", "b"], dtype="Float64"),
    "polars": polars.DataFrame(VALUES, schema=["a", "b"], orient="row"),
    "arrow": pyarrow.table({"a": [1, 3, 5], "b": [2.0, 4.0, 6.0]}),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(name, dtype):
    assert is_table(FORMS[name])
    rows = as_rows(FORMS[name], (2,), dtype, "data")
    assert torch.equal(rows, torch.tensor(VALUES, dtype=dtype))


def test_read_only_array_is_taken_without_a_warning():
    array = np.array(VALUES, dtype=np.float32)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_rows(array, (2,), torch.float32, "data")


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], np.array([1, 2]), pandas.Series([1.0, 2.0]), polars.Series([1, 2])]
)
def test_one_feature_needs_no_column_dimension(values):
    assert as_rows(values, (1,), torch.float32, "data").tolist() == [[1.0], [2.0]]


def test_images():
    assert as_rows(np.zeros((5, 3, 4, 4)), (3, 4, 4), torch.float32, "data").shape == (5, 3, 4, 4)
    with pytest.raises(DataError, match="shape of a row"):
        as_rows(np.zeros((5, 4, 4, 3)), (3, 4, 4), torch.float32, "data")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_first_value_that_is_not_finite_is_named(value):
    x = np.zeros((10, 3))
    x[4, 2] = x[6, 0] = value
    with pytest.raises(DataError) as caught:
        as_rows(x, (3,), torch.float32, "data", start=100)
    assert (caught.value.row, caught.value.column) == (105, 2)
    assert caught.value.fix


def test_missing_cell_of_a_frame_is_named_by_its_column():
    for frame in (
        pandas.DataFrame({"age": [1.0, None], "size": [1.0, 2.0]}),
        pandas.DataFrame({"age": pandas.array([1, None], dtype="Int64"), "size": [1.0, 2.0]}),
        polars.DataFrame({"age": [1, None], "size": [1.0, 2.0]}),
    ):
        with pytest.raises(DataError) as caught:
            as_rows(frame, (2,), torch.float32, "data")
        assert (caught.value.row, caught.value.column) == (2, "age")


def test_value_beyond_the_dtype():
    x = np.array([[1.0], [1e300]])
    assert as_rows(x, (1,), torch.float64, "data")[1] == 1e300
    with pytest.raises(DataError, match="too large for float32") as caught:
        as_rows(x, (1,), torch.float32, "data")
    assert "double" in caught.value.fix


def test_a_sum_that_overflows_is_no_error():
    x = np.full((4, 1), 3e38)
    assert as_rows(x, (1,), torch.float32, "data").shape == (4, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((5, 3)), "3 columns, where the model has 2"),
        (np.zeros(5), "1 dimension, where 2 were expected"),
        (np.zeros((5, 2, 1)), "3 dimensions"),
        (np.array([["a", "b"]]), "numbers were expected"),
        (np.zeros((2, 2), complex), "numbers were expected"),
        (torch.zeros(2, 2, dtype=torch.complex64), "complex"),
        ([[1.0, 2.0], [1.0]], "rows of different lengths"),
    ],
)
def test_what_is_no_rows_of_the_model(data, message):
    with pytest.raises(DataError, match=message):
        as_rows(data, (2,), torch.float32, "data")


def test_column_of_text_is_named():
    frame = pandas.DataFrame({"size": [1.0, 2.0], "city": ["Rome", "Oslo"]})
    with pytest.raises(DataError) as caught:
        as_rows(frame, (2,), torch.float32, "data")
    assert caught.value.column == "city"
    assert column_names(frame) == ["size", "city"]


def test_streams_are_no_tables():
    assert not is_table([torch.zeros(2, 2)])
    assert not is_table((np.zeros((2, 2)), np.zeros((2, 1))))
    assert not is_table(torch.utils.data.DataLoader([1.0]))
    assert is_table([])


@pytest.mark.parametrize(
    ("weights", "row"), [([1.0, -1.0, 1.0], 2), ([1.0, 1.0, float("nan")], 3), ([1.0, 1.0], None)]
)
def test_weights_that_are_none(weights, row):
    with pytest.raises(DataError) as caught:
        as_weights(weights, 3, torch.float32)
    assert caught.value.row == row


def test_masked_cells_are_missing():
    masked = np.ma.masked_greater(np.array(VALUES), 5.5)
    with pytest.raises(DataError, match="row 3, column 1: the value is nan"):
        as_rows(masked, (2,), torch.float32, "data")
    assert torch.equal(as_rows(np.ma.array(VALUES), (2,), torch.float32, "data"), torch.tensor(VALUES))


def test_sparse_tensors_are_refused():
    with pytest.raises(DataError, match="sparse") as caught:
        as_rows(torch.tensor(VALUES).to_sparse(), (2,), torch.float32, "data")
    assert "to_dense" in caught.value.fix
