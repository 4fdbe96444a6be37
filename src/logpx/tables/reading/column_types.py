"""The type of a column, known before its values are read, and the form in which they are read."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["ColumnType", "labels"]


class ColumnType(StrEnum):
    """The stored type of a column: numbers are read as float64, everything else as text.

    Integers beyond 2**53 lose their last digits in float64.

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
        """Return the type of a column that Arrow stores as `stored`."""
        types = pa.types
        if types.is_dictionary(stored) or types.is_string(stored) or types.is_large_string(stored):
            # A declared dictionary is a set of labels, whatever the labels look like.
            return cls.TEXT
        if types.is_string_view(stored):
            return cls.TEXT
        if types.is_integer(stored) or types.is_floating(stored) or types.is_decimal(stored):
            return cls.NUMBER
        if types.is_null(stored):
            return cls.NUMBER
        if types.is_boolean(stored):
            return cls.BOOLEAN
        if types.is_temporal(stored):
            return cls.TIMESTAMP
        return cls.OTHER

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of such a column in batches."""
        return pa.float64() if self is ColumnType.NUMBER else pa.string()

    def read(self, values: pa.Array) -> pa.Array:
        """Return stored values in the form that batches hold, with missing cells kept.

        Parameters
        ----------
        values : pyarrow.Array
            Values of a column of this type.
        """
        if values.type == self.arrow:
            return values
        if self is not ColumnType.OTHER:
            with suppress(pa.ArrowNotImplementedError):
                return pc.cast(values, self.arrow, safe=False)
        # Lists, bytes, durations have no text form, and only whether a cell is missing matters.
        return pc.if_else(pc.is_valid(values), str(values.type), pa.scalar(None, pa.string()))


def labels(values: pa.Array) -> pa.Array:
    """Return text without surrounding spaces, which many writers put after a comma.

    Examples
    --------
    >>> labels(pa.array([" yes", "no", None])).to_pylist()
    ['yes', 'no', None]
    """
    return pc.utf8_trim_whitespace(values)
