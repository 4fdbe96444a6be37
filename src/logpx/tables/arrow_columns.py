"""Modelled columns as Arrow columns: whole numbers, numbers or labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.schema import Column, Schema

__all__ = ["arrow_array", "arrow_schema"]

_LARGEST_INTEGER = 2.0**63 - 1024


def arrow_schema(schema: Schema, supports: Supports) -> pa.Schema:
    """Return the names and types of the modelled columns of a table."""
    pairs = zip(schema.modelled, supports.supports, strict=True)
    return pa.schema([(column.name, _type(column, support)) for column, support in pairs])


def _type(column: Column, support: Support) -> pa.DataType:
    """Return the type that a column is written in: whole numbers, text for labels, or float64."""
    if column.levels is not None:
        return pa.string()
    return pa.int64() if column.kind is Kind.INTEGER and support.whole else pa.float64()


def arrow_array(values: npt.NDArray[np.float64], column: Column, form: pa.DataType) -> pa.Array:
    """Return a model's values of a column as cells: on the grid, within bounds, codes as labels."""
    if column.levels is not None:
        return pa.array(column.levels).take(pa.array(values.astype(np.int64)))
    if pa.types.is_integer(form):
        # The tails of a model do not end at the largest integer.
        values = values.clip(-_LARGEST_INTEGER, _LARGEST_INTEGER)
    return pa.array(values).cast(form)
