"""One file or one frame of a table: what every reader offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import pyarrow as pa

from logpx.tables.reading.column_types import ColumnType

__all__ = ["Part"]


class Part(ABC):
    """One file or one frame of a table.

    Attributes
    ----------
    file : str or None
        The file's name for messages, None for data in memory.
    types : dict of str to (ColumnType or None)
        Every column in order. None where the part alone cannot tell.
    convertible : bool
        Whether the part can be read with other types than its own (text files can).
    """

    file: str | None = None
    types: dict[str, ColumnType | None]
    convertible: bool = False

    @abstractmethod
    def read(self, types: Mapping[str, ColumnType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns named in ``types``, in that order and form, about ``rows`` rows at a time."""

    @abstractmethod
    def count_rows(self) -> int:
        """Return the number of rows, without reading the cells where the format allows."""
