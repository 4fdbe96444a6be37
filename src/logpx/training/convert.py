"""From arrays and frames to checked tensors; errors name the row and column that cannot be modelled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import DataError
from logpx.wording import counted

if TYPE_CHECKING:
    import narwhals as nw

__all__ = ["as_rows", "as_weights", "column_names", "is_table"]

_NUMPY_OF = {torch.float64: np.dtype(np.float64)}


def is_table(data: object) -> bool:
    """Return whether an object holds rows itself (tensor, array, frame, nested list) or is a stream.

    Examples
    --------
    >>> is_table([[1.0, 2.0]]), is_table([torch.zeros(3, 2)])
    (True, False)
    """
    if _is_array(data) or _is_frame(data):
        return True
    if not isinstance(data, (list, tuple)):
        return False
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return np.isscalar(data) or isinstance(data, (list, tuple))


def _is_array(data: object) -> bool:
    return isinstance(data, (Tensor, np.ndarray)) or hasattr(data, "__array__")


def _is_frame(data: object) -> bool:
    import narwhals as nw

    return isinstance(_frame(data), (nw.DataFrame, nw.Series))


def _frame(data: Any) -> Any:
    # Imported where data are none of torch's or numpy's: loading a model needs no library of frames.
    import narwhals as nw

    return nw.from_native(data, eager_only=True, allow_series=True, pass_through=True)


def column_names(data: Any) -> list[str] | None:
    """Return the column names of a frame, or None for other data.

    Examples
    --------
    >>> import pandas
    >>> column_names(pandas.DataFrame({"age": [1.0]}))
    ['age']
    """
    import narwhals as nw

    frame = _frame(data)
    return list(frame.columns) if isinstance(frame, nw.DataFrame) else None


def _columns_of(frame: nw.DataFrame[Any]) -> tuple[NDArray[Any], list[str]]:
    import narwhals as nw

    columns = []
    # Not by name: pandas columns may have numbers for names.
    for column, name in zip(frame.iter_columns(), frame.columns, strict=True):
        if not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
            raise DataError(
                f"the column holds {column.dtype}, where numbers were expected",
                column=name,
                fix="leave the column out, or fit a table: logpx.tables knows kinds of columns",
            )
        columns.append(column.cast(nw.Float64).to_numpy())
    return np.column_stack(columns) if columns else np.empty((len(frame), 0)), list(frame.columns)


def _array_of(data: Any, what: str) -> tuple[NDArray[Any] | Tensor, list[str] | None]:
    if isinstance(data, Tensor):
        if data.is_complex():
            raise DataError(
                f"{what} holds complex numbers", fix="pass real and imaginary part as two columns"
            )
        if data.layout is not torch.strided:
            raise DataError(f"{what} is a sparse tensor", fix="pass x.to_dense()")
        return data.detach(), None
    import narwhals as nw

    frame = _frame(data)
    if isinstance(frame, nw.DataFrame):
        return _columns_of(frame)
    if isinstance(frame, nw.Series):
        values, names = _columns_of(frame.to_frame())
        return values[:, 0], names
    if isinstance(data, np.ma.MaskedArray):
        # Masked cells are missing, whatever number they hold.
        data = np.ma.filled(data.astype(np.float64), np.nan)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(
            f"{what} has rows of different lengths", fix="give every row the same columns"
        ) from error
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{what} holds {array.dtype}, where numbers were expected", fix="convert it to float first"
        )
    return array, None


def _to_dtype(values: NDArray[Any] | Tensor, dtype: torch.dtype) -> Tensor:
    if isinstance(values, Tensor):
        return values.to(dtype)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(values, _NUMPY_OF.get(dtype, np.dtype(np.float32)))
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(dtype)


def as_rows(
    data: Any,
    event_shape: tuple[int, ...],
    dtype: torch.dtype,
    what: str,
    start: int = 0,
    missing: bool = False,
) -> Tensor:
    """Return data as a finite tensor of shape ``(n, *event_shape)``.

    Parameters
    ----------
    data
        A tensor, an array, a pandas, Polars or Arrow frame, or a nested list.
    event_shape
        The shape of one row. For one feature, data without a column dimension will do.
    dtype
        A floating dtype; this is the only conversion.
    what
        The name of the data in messages.
    start
        The index of the first row, counted from 0, if the data are a part of something longer.
    missing
        Whether cells may be missing (NaN).

    Raises
    ------
    DataError
        If the data are not numbers, have the wrong number of columns or dimensions, or are not finite.

    Examples
    --------
    >>> as_rows([[1, 2], [3, 4]], (2,), torch.float32, "data")
    tensor([[1., 2.],
            [3., 4.]])
    >>> as_rows([[1.0, 2.0], [3.0, float("nan")]], (2,), torch.float32, "data")
    Traceback (most recent call last):
    ...
    logpx.errors.DataError: row 2, column 1: the value is nan, where a finite number was expected
    fix: fill or drop missing cells before fitting
    """
    values, names = _array_of(data, what)
    given = tuple(values.shape)
    if len(given) == 1 and event_shape == (1,):
        values = values.reshape(-1, 1)
    elif len(given) != 1 + len(event_shape):
        expected = " × ".join(["rows", *map(str, event_shape)])
        raise DataError(
            f"{what} has {counted(len(given), 'dimension')}, where {1 + len(event_shape)} were "
            f"expected ({expected})",
            fix=f"reshape it; its shape is {given}",
        )
    elif given[1:] != event_shape:
        shown = [given[1], event_shape[0]] if len(event_shape) == 1 else [given[1:], event_shape]
        unit = "columns" if len(event_shape) == 1 else "as the shape of a row"
        raise DataError(
            f"{what} has {shown[0]} {unit}, where the model has {shown[1]}",
            fix="build the model for these data, or select the columns that it was built for",
        )
    rows = _to_dtype(values, dtype)
    # The sum needs no temporary and is finite only if every value is; the mask rules out mere overflow.
    if not math.isfinite(rows.sum().item()):
        bad = torch.isinf(rows) if missing else ~torch.isfinite(rows)
        if bool(bad.any()):
            raise _not_finite(bad, rows, values, names, start)
    return rows


def _not_finite(bad: Tensor, rows: Tensor, values: Any, names: list[str] | None, start: int) -> DataError:
    flat = rows.flatten(1)
    position = int(bad.flatten().nonzero()[0].item())
    row, column = divmod(position, flat.shape[1])
    value = float(values.reshape(len(flat), -1)[row, column])
    where = {"row": start + row + 1, "column": names[column] if names else column}
    if math.isfinite(value):
        dtype = str(rows.dtype).removeprefix("torch.")
        return DataError(
            f"the value {value:g} is too large for {dtype}",
            fix="rescale the column, or use model.double()",
            **where,  # type: ignore[arg-type]
        )
    return DataError(
        f"the value is {value}, where a finite number was expected",
        fix="fill or drop missing cells before fitting",
        **where,  # type: ignore[arg-type]
    )


def as_weights(weights: Any, rows: int, dtype: torch.dtype, start: int = 0) -> Tensor:
    """Return one finite weight of at least 0 per row.

    Raises
    ------
    DataError
        If a weight is not; the first such row is named.

    Examples
    --------
    >>> as_weights([1, 2], 2, torch.float32)
    tensor([1., 2.])
    """
    tensor = as_rows(weights, (1,), dtype, "weights", start)[:, 0]
    if len(tensor) != rows:
        raise DataError(
            f"{counted(len(tensor), 'weight')} for {counted(rows, 'row')}", fix="give one weight per row"
        )
    if bool((tensor < 0.0).any()):
        row = int((tensor < 0.0).nonzero()[0].item())
        message = f"the weight is {tensor[row].item():g}, where 0 or more was expected"
        raise DataError(message, row=start + row + 1, fix="correct the weights")
    return tensor
