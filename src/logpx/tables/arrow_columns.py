"""Modelled columns as Arrow columns, in the types that the table stored them in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.schema import Column, Schema

__all__ = ["arrow_array", "arrow_schema"]


def arrow_schema(schema: Schema, supports: Supports) -> pa.Schema:
    """Return the names and types of the modelled columns of a table."""
    pairs = zip(schema.modelled, supports.supports, strict=True)
    return pa.schema([(column.name, written_type(column, support)) for column, support in pairs])


def written_type(column: Column, support: Support) -> pa.DataType:
    """Return the type that new cells of a column are written in.

    It is that of the table. Plain numbers of a text file are whole numbers or float64, and all else is text.
    """
    if column.stored_type is not None and not pa.types.is_null(column.stored_type):
        return column.stored_type
    notation = column.reading.notation
    if not isinstance(notation, NumberNotation) or not notation.plain or notation.width:
        return pa.string()
    return pa.int64() if column.kind is Kind.INTEGER and support.whole else pa.float64()


def arrow_array(values: npt.NDArray[np.float64], column: Column, form: pa.DataType) -> pa.Array:
    """Return a model's values of a column as cells: on the grid, within bounds, codes as labels."""
    return column.write(values, form)
