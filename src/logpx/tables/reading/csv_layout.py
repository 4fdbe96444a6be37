"""What the first lines of a delimited text file are: comments or a title, the header, units, rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["MISSING_MARKERS", "Layout", "Record", "find_layout", "is_number", "layout_of"]

_WORDS = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "null", "NULL", "None", "#N/A", "<NA>")

MISSING_MARKERS = (*_WORDS, *(f" {word}" for word in _WORDS), *(f"{word} " for word in _WORDS if word))
"""Cells that mean a missing value, quoted or not, with at most one space before or after."""

_DELIMITERS = ",;\t|"
_ROWS_COMPARED = 40
# A line by which Excel is told the delimiter.
_DECLARED = re.compile(r'\s*"?sep=(.)"?[ ;,]*(\r\n|\r|\n)')
_BRACKETED = re.compile(r"\(.*\)|\[.*\]", re.DOTALL)
_NO_UNIT = ("", "-", "–", "—")

csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Record:
    """The fields of a line (or of several, if a field has line ends), and where it starts and ends.

    Attributes
    ----------
    fields : tuple of str
        At least one field.
    start, end : int
        Characters of the text before the record and up to its end.
    """

    fields: tuple[str, ...]
    start: int
    end: int

    @property
    def is_comment(self) -> bool:
        """Whether the line starts with a number sign; the names of columns may do so, too."""
        return self.fields[0].lstrip().startswith("#")

    @property
    def filled(self) -> list[str]:
        """The fields that are not empty."""
        return [field for field in self.fields if field.strip()]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the first lines are to be read.

    Attributes
    ----------
    delimiter : str
        The character between fields.
    above : tuple of Record
        Lines above the header.
    header : Record or None
        The line that names the columns; None if it cannot be told.
    units : Record or None
        A line of units below the header.
    rows : tuple of Record
        The first rows.
    """

    delimiter: str
    above: tuple[Record, ...] = ()
    header: Record | None = None
    units: Record | None = None
    rows: tuple[Record, ...] = ()

    @property
    def merit(self) -> tuple[float, float, int]:
        """How well the delimiter fits: rows as wide as the header, cells that are numbers, columns."""
        if self.header is None or len(self.header.fields) == 1:
            return 0.0, 0.0, 0
        width = len(self.header.fields)
        rows = self.rows or (self.header,)
        cells = [cell for row in rows for cell in row.fields]
        numbers = sum(_is_numeric(cell, self.delimiter) for cell in cells)
        return sum(len(row.fields) == width for row in rows) / len(rows), numbers / len(cells), width

    @property
    def aligned(self) -> bool:
        """Whether the only column is several ones, aligned by several spaces."""
        if self.header is None or len(self.header.fields) > 1:
            return False
        lines = [self.header.fields[0].split(), *(row.fields[0].split() for row in self.rows)]
        columns = list(zip(*lines, strict=False))
        numbers = any(all(map(is_number, cells)) and not is_number(name) for name, *cells in columns if cells)
        return len(lines) > 1 and len(columns) > 1 and len(set(map(len, lines))) == 1 and numbers


def is_number(text: str) -> bool:
    """Whether a cell that is not missing reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.isascii()


def _is_numeric(text: str, delimiter: str) -> bool:
    """Whether a cell is a number, perhaps with a decimal comma."""
    return is_number(text) or (delimiter != "," and is_number(text.replace(",", ".", 1)))


def find_layout(text: str, *, complete: bool, spaces: bool, tabs: bool) -> Layout:
    """Find the delimiter and the header in the first lines of a file.

    Parameters
    ----------
    text : str
        The first lines.
    complete : bool
        Whether they are the whole file; otherwise the last line may be cut short.
    spaces : bool
        Whether single spaces may separate fields.
    tabs : bool
        Whether a file of a single column is one of tab-separated values.
    """
    declared = _DECLARED.match(text)
    if declared:
        return _layout(text, declared[1], complete, declared.end())
    layouts = [_layout(text, delimiter, complete) for delimiter in _DELIMITERS]
    best = max(layouts, key=lambda layout: layout.merit)
    if best.merit[0] > 0:
        return best
    # A file whose rows never match its header is ragged for any delimiter; then the header alone decides.
    widest = max(layouts, key=lambda layout: layout.merit[2])
    if widest.merit[2] > 1:
        return widest
    if spaces:
        spaced = _layout(text, " ", complete)
        named = spaced.header is not None and all(spaced.header.fields)
        if named and spaced.merit[0] == 1 and _shows_header(spaced.header, spaced.rows, " "):
            return spaced
    return layouts[_DELIMITERS.index("\t" if tabs else _single(layouts))]


def _single(layouts: Sequence[Layout]) -> str:
    """Return a delimiter that leaves the only column whole: a comma may be in its numbers."""
    commas, semicolons = layouts[0], layouts[1]
    split = any(len(row.fields) > 1 for row in commas.rows)
    numbers = all(_is_numeric(row.fields[0], ";") for row in semicolons.rows if len(row.fields) == 1)
    return ";" if split and numbers else ","


def _layout(text: str, delimiter: str, complete: bool, start: int = 0) -> Layout:
    records = list(_records(text, delimiter, start))
    return layout_of(records[:-1] if not complete and len(records) > 1 else records, delimiter)


def layout_of(records: Sequence[Record], delimiter: str) -> Layout:
    """Find the header in the first records of a table, given the delimiter of its fields."""
    at = _header_at(records, delimiter)
    above = tuple(records if at is None else records[:at])
    if at is None or not records:
        return Layout(delimiter=delimiter, above=above)
    below = records[at + 1 :]
    units = below[0] if _are_units(below, delimiter) else None
    rows = tuple(below if units is None else below[1:])
    return Layout(delimiter=delimiter, above=above, header=records[at], units=units, rows=rows)


def _records(text: str, delimiter: str, start: int) -> Iterator[Record]:
    position = start

    def lines() -> Iterator[str]:
        nonlocal position
        for line in io.StringIO(text[start:], newline=""):
            position += len(line)
            yield line

    before, found = position, 0
    try:
        for fields in csv.reader(lines(), delimiter=delimiter):
            if fields:
                yield Record(tuple(fields), before, position)
                found += 1
            if found > _ROWS_COMPARED:
                return
            before = position
    except csv.Error:
        return  # Errors below the header are found, with their row, when the rows are read.


def _header_at(records: Sequence[Record], delimiter: str) -> int | None:
    """Return which line names the columns, or None if that cannot be told."""
    if not records:
        return None
    widths = Counter(len(record.fields) for record in records if not record.is_comment)
    width = widths.most_common(1)[0][0] if widths else len(records[0].fields)
    at = next((index for index, record in enumerate(records) if not _is_above(record, width)), None)
    if at == 0:
        return 0
    if at is not None and _names(records[at], width):
        certain = all(record.is_comment and len(record.fields) != width for record in records[:at])
        below = records[at + 1 :]
        rows = below[1:] if _are_units(below, delimiter) else below
        if certain or _shows_header(records[at], rows, delimiter):
            return at
    # A header may start with a number sign itself: then the rows below it are as wide, and have numbers.
    last = records[(len(records) if at is None else at) - 1]
    below = records[len(records) if at is None else at :]
    if last.is_comment and len(last.fields) == width and (len(below) == 0 or not _names(below[0], width)):
        return records.index(last)
    return None if records[0].is_comment else 0


def _is_above(record: Record, width: int) -> bool:
    """Whether a line may be a comment, a title (a single field where rows have several) or a gap."""
    if record.is_comment or not record.filled:
        return True
    fields = record.fields
    alone = len(record.filled) == 1 and bool(fields[0].strip())
    return alone and width > 1 and (len(fields) == 1 or len(fields) > 2)


def _names(record: Record, width: int) -> bool:
    """Whether a line can name the columns: it is as wide as the rows, and has no number."""
    return len(record.fields) == width and not any(map(is_number, record.filled))


def _shows_header(header: Record | None, rows: Sequence[Record], delimiter: str) -> bool:
    """Whether some column has text in the header and numbers alone below it."""
    if header is None:
        return False
    for index, name in enumerate(header.fields):
        cells = _column(rows, index)
        named = bool(name.strip()) and not _is_numeric(name, delimiter)
        if named and _all_numeric(cells, delimiter):
            return True
    return False


def _all_numeric(cells: Sequence[str], delimiter: str) -> bool:
    return bool(cells) and all(_is_numeric(cell, delimiter) for cell in cells)


def _column(rows: Sequence[Record], index: int) -> list[str]:
    cells = [row.fields[index] for row in rows if index < len(row.fields)]
    return [cell for cell in cells if cell not in MISSING_MARKERS]


def _are_units(below: Sequence[Record], delimiter: str) -> bool:
    """Whether the first line below the header has units in brackets, and there are numbers below them."""
    if len(below) < 2:
        return False
    units, rows = below[0], below[1:]
    named = [index for index, cell in enumerate(units.fields) if cell.strip() not in _NO_UNIT]
    over_numbers = False
    for index in named:
        cell = units.fields[index].strip()
        if not _BRACKETED.fullmatch(cell) or any(
            _BRACKETED.fullmatch(c.strip()) for c in _column(rows, index)
        ):
            return False
        lettered = any(character.isalpha() or character in "%‰°" for character in cell)
        cells = _column(rows, index)
        over_numbers |= lettered and _all_numeric(cells, delimiter)
    return over_numbers
