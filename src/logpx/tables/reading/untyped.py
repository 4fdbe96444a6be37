"""Cells whose columns have no declared type: text may stand among numbers, as in delimited text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from logpx.errors import DataError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.csv_layout import MISSING_MARKERS, is_number

__all__ = ["read_untyped"]

_SHOWN = 40


def read_untyped(
    columns: Mapping[str, pa.Array], types: Mapping[str, ColumnType], file: str, before: int
) -> pa.RecordBatch:
    """Return cells in the form that batches hold, numbers also where they are stored as text.

    Parameters
    ----------
    columns : dict of str to pyarrow.Array
        Consecutive rows as stored.
    types : dict of str to ColumnType
        The columns to return, and as what.
    file : str
        The file, for errors.
    before : int
        The number of rows of the file before these.

    Raises
    ------
    DataError
        If there is text where a number was expected; names row and column.
    """
    arrays = []
    for name, kind in types.items():
        cells = columns[name]
        stored = ColumnType.of(cells.type)
        if kind is ColumnType.NUMBER and stored is ColumnType.TEXT:
            arrays.append(_numbers(cells, name, file, before))
        elif kind is ColumnType.NUMBER and stored not in (ColumnType.NUMBER, ColumnType.BOOLEAN):
            raise DataError(
                f"numbers were expected, but the column holds {cells.type}",
                file=file,
                column=name,
                fix="convert the column to numbers",
            )
        else:
            arrays.append(kind.read(cells))
    return pa.record_batch(arrays, names=list(types))


def _numbers(cells: pa.Array, name: str, file: str, before: int) -> pa.Array:
    texts: Sequence[str | None] = cells.to_pylist()
    values: list[float | None] = []
    for row, text in enumerate(texts):
        if text is None or text in MISSING_MARKERS:
            values.append(None)
        elif is_number(text):
            values.append(float(text))
        else:
            shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
            raise DataError(
                f"text {shown!r} where a number was expected",
                file=file,
                row=before + row + 1,
                column=name,
                fix="correct the cell",
            )
    return pa.array(values, ColumnType.NUMBER.arrow)
