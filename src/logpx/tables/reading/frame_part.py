"""Columns in memory as a part of a table: arrays, tensors, Arrow tables, pandas and Polars frames."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from logpx.errors import DataError, UsageError
from logpx.tables.reading.cell_text import is_interval, text_of
from logpx.tables.reading.names import is_frame_index, refuse_repeated_names
from logpx.tables.reading.part import Part
from logpx.wording import counted

if TYPE_CHECKING:
    import narwhals as nw

__all__ = ["FramePart", "frame_columns", "with_names"]

# As many as decimals of 128 bits have.
_MOST_DIGITS = 38


class FramePart(Part):
    """Columns in memory, converted a slice at a time so that the table is not copied as a whole.

    Parameters
    ----------
    columns : dict of str to (numpy.ndarray or pyarrow.ChunkedArray)
        One-dimensional columns.

    Raises
    ------
    DataError
        If the columns differ in length, or one has a type that Arrow does not know.
    """

    def __init__(self, columns: Mapping[str, np.ndarray[Any, Any] | pa.ChunkedArray]) -> None:
        self._columns = dict(columns)
        lengths = {name: len(column) for name, column in self._columns.items()}
        self._rows = next(iter(lengths.values()), 0)
        for name, length in lengths.items():
            if length != self._rows:
                first = next(iter(lengths))
                raise DataError(
                    f"{counted(length, 'row')}, but column {first!r} has {self._rows}",
                    column=name,
                    fix="give every column the same length",
                )
        for name, column in self._columns.items():
            if isinstance(column, np.ndarray) and column.dtype == object:
                # The type of Python objects is known only when all have been looked at.
                self._columns[name] = _with_room(pa.chunked_array([self._slice(name, 0, self._rows)]))
        self.stored = pa.schema([(name, self._slice(name, 0, 1).type) for name in self._columns])

    def count_rows(self) -> int:
        """Return the number of rows."""
        return self._rows

    def read(self, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, ``rows`` rows at a time."""
        for start in range(0, self._rows, rows):
            arrays = [self._slice(name, start, start + rows) for name in names]
            yield pa.record_batch(arrays, names=list(names))

    def _slice(self, name: str, start: int, stop: int) -> pa.Array:
        column = self._columns[name]
        if isinstance(column, pa.ChunkedArray):
            return column.slice(start, stop - start).combine_chunks()
        try:
            return pa.array(column[start:stop])
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"values of mixed or unknown type: {error}",
                column=name,
                fix="convert the column to numbers, or leave it out",
            ) from None


def with_names(rows: Any, names: Sequence[str], every: Sequence[str] = ()) -> Any:
    """Name the columns of an array after those of a model, by position; return other data as they are.

    Parameters
    ----------
    rows
        An array, or anything else.
    names
        The columns that the model needs.
    every
        These and those that the fit has left out: an array of so many columns has them all.

    Raises
    ------
    DataError
        If the array has a different number of columns.
    """
    if not isinstance(rows, np.ndarray) and not _is_tensor(rows):
        return rows
    if rows.ndim == 2 and rows.shape[1] == len(every):
        names = every
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise DataError(
            f"an array of shape {tuple(rows.shape)}, but the model has {counted(len(names), 'column')}",
            fix=f"give one column for each of {', '.join(names)}, in this order",
        )
    return {name: rows[:, index] for index, name in enumerate(names)}


def frame_columns(source: Any) -> tuple[str, dict[str, np.ndarray[Any, Any] | pa.ChunkedArray]]:
    """Return the name of a source in memory, for messages, and its columns.

    Parameters
    ----------
    source : array, tensor, dict of arrays, pyarrow.Table or data frame
        A one-dimensional array is one column; the columns of an array are named x0, x1, ...

    Raises
    ------
    UsageError
        If the source is none of these.
    DataError
        If it has no columns, two with the same name, or not one or two dimensions.
    """
    if isinstance(source, Mapping):
        columns: dict[str, Any] = {}
        for name, values in source.items():
            array = _as_array(values)
            if array.ndim != 1:
                raise DataError(
                    f"an array of {counted(array.ndim, 'dimension')}, but a column has one",
                    column=str(name),
                    fix="give one array per column",
                )
            columns[str(name)] = array
        return _named("the dictionary of columns", list(columns), list(columns.values()))
    if isinstance(source, np.ndarray) or _is_tensor(source):
        array = _as_array(source)
        label = "the array" if isinstance(source, np.ndarray) else "the tensor"
        if array.dtype.names:
            return _named(label, list(array.dtype.names), [array[name] for name in array.dtype.names])
        if array.ndim not in (1, 2):
            raise DataError(
                f"{label} has {counted(array.ndim, 'dimension')}, but a table has rows and columns",
                fix="reshape it to (rows, columns)",
            )
        array = array[:, None] if array.ndim == 1 else array
        names = [f"x{index}" for index in range(array.shape[1])]
        return _named(label, names, [array[:, index] for index in range(array.shape[1])])
    table = source if isinstance(source, pa.Table) else _frame_to_arrow(source)
    return _named("the data frame", [str(name) for name in table.column_names], table.columns)


def _named(label: str, names: list[str], columns: list[Any]) -> tuple[str, dict[str, Any]]:
    if not names:
        raise DataError(f"{label} has no columns", fix="give at least one column")
    refuse_repeated_names(names)
    return label, dict(zip(names, columns, strict=True))


def _is_tensor(source: Any) -> bool:
    torch = sys.modules.get("torch")  # If there is a tensor, torch is already imported.
    return torch is not None and isinstance(source, torch.Tensor)


def _as_array(values: Any) -> np.ndarray[Any, Any]:
    if _is_tensor(values):
        values = values.detach().cpu()
        try:
            return np.asarray(values.numpy())
        except TypeError:  # bfloat16 and similar types have no NumPy counterpart.
            return np.asarray(values.double().numpy())
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(np.float64), np.nan)
    if isinstance(values, (list, tuple)):
        return (
            np.asarray(values, dtype=object) if any(value is None for value in values) else np.asarray(values)
        )
    return np.asarray(values)


def _frame_to_arrow(source: Any) -> pa.Table:
    # Not needed for files.
    import narwhals as nw

    try:
        frame = nw.from_native(source, allow_series=True)
    except TypeError:
        raise UsageError(
            f"a {type(source).__name__} is not a table",
            fix="give a path, a data frame, a pyarrow Table, an array, a tensor or a dict of arrays",
        ) from None
    except (ValueError, nw.exceptions.NarwhalsError) as error:
        raise DataError(
            f"the data frame cannot be read: {error}", fix="give every column its own name"
        ) from None
    try:
        if isinstance(frame, nw.Series):
            frame = frame.alias(str(frame.name or "x0")).to_frame()
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect(backend="pyarrow")
        return _adapted(frame)
    except (pa.ArrowException, TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        raise DataError(
            f"the data frame cannot be read: {error}",
            fix="convert the named column to numbers or text, or leave it out",
        ) from None


def _adapted(frame: nw.DataFrame[Any]) -> pa.Table:
    """Return a frame as an Arrow table, with types in which cells can be written and read back.

    Decimals that are Python objects get room for others, and categories that are intervals become text, for
    Arrow cannot turn them into a frame again. An index without a name is no column.
    """
    import narwhals as nw

    table: pa.Table = frame.to_arrow()
    table = table.select([name for name in table.column_names if not is_frame_index(name)])
    for place, (name, kind) in enumerate(frame.schema.items()):
        column = table.column(place)
        if kind == nw.Object:
            table = table.set_column(place, name, _with_room(column))
        elif pa.types.is_dictionary(column.type) and is_interval(column.type.value_type):
            chunks = [
                pa.DictionaryArray.from_arrays(one.indices, text_of(one.dictionary), ordered=one.type.ordered)
                for one in column.chunks
            ]
            table = table.set_column(place, name, pa.chunked_array(chunks))
    return table


def _with_room(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return decimals in a type of all digits: Python objects declare none, and Arrow counts those it saw."""
    if not pa.types.is_decimal128(cells.type):
        return cells
    return cells.cast(pa.decimal128(_MOST_DIGITS, cells.type.scale))
