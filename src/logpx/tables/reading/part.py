"""One file or frame of a table: the interface of every reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import pyarrow as pa

from logpx.tables.reading.cell_text import is_text

__all__ = ["Part"]

_HEAD_ROWS = 4096


class Part(ABC):
    """One file or frame of a table. It yields cells as they are stored, and nobody else reads the file.

    Attributes
    ----------
    file : str or None
        The file's name for messages; None for data in memory.
    stored : pyarrow.Schema
        Every column in order, with the type in which its cells are stored.
    in_text_file : bool
        Whether cells are undeclared text, as in delimited files, where numbers have to be recognised.
    delimiter : str or None
        What is between the fields of such a file.
    mixed : frozenset of str
        Columns that are stored as text because their cells are of several types.
    notes : sequence of str
        What of the file was skipped.
    rows_before : int
        How many rows of the file come before those that are read.
    """

    file: str | None = None
    stored: pa.Schema
    in_text_file: bool = False
    delimiter: str | None = None
    mixed: frozenset[str] = frozenset()
    notes: Sequence[str] = ()
    rows_before: int = 0

    @abstractmethod
    def read(self, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns in that order, as stored, about ``rows`` rows at a time."""

    @abstractmethod
    def count_rows(self) -> int:
        """Return the number of rows, without reading the cells where the format allows."""

    def divided(self) -> Sequence[Part]:
        """Return in order the parts of this one that can be read alone; none but itself for most formats."""
        return [self]

    def head(self) -> dict[str, pa.Array]:
        """Return the first cells of every column that holds text, and no cells of the others."""
        cells = {field.name: pa.nulls(0, field.type) for field in self.stored}
        texts = [field.name for field in self.stored if is_text(field.type)]
        if texts and (first := next(self.read(texts, _HEAD_ROWS), None)) is not None:
            cells |= {name: first.column(name) for name in texts}
        return cells
