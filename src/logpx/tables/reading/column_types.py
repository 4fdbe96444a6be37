"""What a column holds, as far as its stored type says it."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from logpx.tables.reading.cell_text import is_interval, is_text

__all__ = ["ColumnType"]


class ColumnType(StrEnum):
    """What a column holds.

    Examples
    --------
    >>> ColumnType.of(pa.int16()), ColumnType.of(pa.date32())
    (<ColumnType.NUMBER: 'number'>, <ColumnType.TIMESTAMP: 'timestamp'>)
    """

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    OTHER = "other"

    @classmethod
    def of(cls, stored: pa.DataType) -> ColumnType:
        """Return what a column holds that Arrow stores as `stored`."""
        types = pa.types
        if types.is_dictionary(stored) or is_text(stored) or is_interval(stored):
            # A declared dictionary is a set of labels, whatever the labels look like.
            return cls.TEXT
        if types.is_integer(stored) or types.is_floating(stored) or types.is_decimal(stored):
            return cls.NUMBER
        if types.is_null(stored):
            return cls.NUMBER
        if types.is_boolean(stored):
            return cls.BOOLEAN
        if types.is_temporal(stored) and not types.is_interval(stored):
            return cls.TIMESTAMP
        return cls.OTHER
