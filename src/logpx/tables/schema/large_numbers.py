"""Whole numbers that float64 does not hold exactly: whether they are whole, and whether they repeat."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logpx.tables.reading.cell_text import is_text, trimmed, values_of

__all__ = ["LargeNumbers"]

_LARGEST_WHOLE = 2.0**53
_MOST_KEPT = 2_000_000
_FEW = 100
_DIGITS = r"^[+-]?[0-9]+$"


class LargeNumbers:
    """What is known of the cells of a column of whole numbers, some of them above 2**53.

    Attributes
    ----------
    found : bool
        Whether there are such numbers, and all numbers are whole.
    """

    def __init__(self) -> None:
        self._whole = True
        self._large = False
        self._distinct: list[pa.Array] = []
        self._rows = 0

    @property
    def found(self) -> bool:
        """Whether there are such numbers, and all numbers are whole."""
        return self._whole and self._large

    @property
    def distinct(self) -> int:
        """How many different numbers there are; only among the first cells of a very long table."""
        return len(pc.unique(pa.chunked_array(self._distinct))) if self._distinct else 0

    @property
    def repeat(self) -> bool:
        """Whether two cells are the same number; only of the first cells of a very long table."""
        return self.distinct < self._rows

    def add(self, cells: pa.Array, largest: float) -> None:
        """Add stored cells, the largest of which has this magnitude."""
        if not self._whole:
            return
        self._large |= largest >= _LARGEST_WHOLE
        cells = values_of(cells)
        types = pa.types
        if is_text(cells.type):
            # Nearly every column of numbers with fractions shows it in its first cells.
            cells = _texts(cells if self._large else cells.slice(0, _FEW))
            self._whole = pc.all(pc.match_substring_regex(cells, _DIGITS), min_count=0).as_py()
        else:
            whole = types.is_decimal(cells.type) and cells.type.scale <= 0
            self._whole = bool(types.is_integer(cells.type) or whole or types.is_null(cells.type))
        if self._whole and self._large and self._rows < _MOST_KEPT:
            kept = cells.drop_null()
            self._rows += len(kept)
            self._distinct.append(pc.unique(kept))


def _texts(cells: pa.Array) -> pa.Array:
    """Return the cells of a column of numbers that hold digits, and so are no words for missing cells."""
    cells = trimmed(cells)
    return cells.filter(pc.match_substring_regex(cells, "[0-9]"))
