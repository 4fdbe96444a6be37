"""One file or frame of a table: the interface of every reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from logpx.tables.reading.column_types import ColumnType

__all__ = ["Part"]


class Part(ABC):
    """One file or frame of a table.

    Attributes
    ----------
    file : str or None
        The file's name for messages; None for data in memory.
    types : dict of str to (ColumnType or None)
        Every column in order; None if the part alone does not determine the type.
    convertible : bool
        Whether the part can be read with types other than its own (text files can).
    notes : sequence of str
        What of the file was skipped.
    """

    file: str | None = None
    types: dict[str, ColumnType | None]
    convertible: bool = False
    notes: Sequence[str] = ()

    @abstractmethod
    def read(self, types: Mapping[str, ColumnType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns named in ``types``, in that order and form, about ``rows`` rows at a time."""

    @abstractmethod
    def count_rows(self) -> int:
        """Return the number of rows, without reading the cells where the format allows."""
