"""A sheet of an Excel workbook as a part of a table."""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from logpx.errors import DataError, LogpxError, MissingExtraError, UsageError
from logpx.suggestions import suggestion
from logpx.tables.reading.csv_layout import Record, is_number, layout_of
from logpx.tables.reading.missing_words import USUAL_WORDS
from logpx.tables.reading.names import check_names
from logpx.tables.reading.part import Part
from logpx.wording import counted

__all__ = ["XlsxPart", "without_sheet"]

_ENDINGS = (".xlsx", ".xlsm")
_SNIFFED = 40

_Row = Sequence[Any]


def without_sheet(path: str) -> str:
    """Return the workbook of a path that may name a sheet after a number sign.

    Examples
    --------
    >>> without_sheet("a/book.xlsx#Data"), without_sheet("a#b.csv")
    ('a/book.xlsx', 'a#b.csv')
    """
    book, sign, _ = path.partition("#")
    while sign and not book.lower().endswith(_ENDINGS):
        more, sign, _ = path[len(book) + 1 :].partition("#")
        book = f"{book}#{more}"
    return book


class XlsxPart(Part):
    """A sheet of a workbook, held in memory: a sheet has at most 1,048,576 rows.

    Whole numbers, numbers, truth values, dates and times keep their types, and formulas count as the values
    that were saved with them. A column of several types is one of text.

    Parameters
    ----------
    file : str
        The workbook's path, perhaps followed by ``#`` and the name of a sheet; the first one by default.

    Raises
    ------
    DataError
        If it is no workbook, the sheet has no header, or a formula was saved without its value.
    MissingExtraError
        If openpyxl is not installed.
    UsageError
        If there is no such sheet.
    """

    def __init__(self, file: str) -> None:
        self.file: str = file
        book = without_sheet(file)
        self._wanted = file[len(book) + 1 :]
        try:
            rows = self._rows_of(book, values=True)
            header, first = self._layout(rows)
            used = _used_columns(rows[header:])
            self._table = self._typed(rows, header, first, used)
            self._refuse_unsaved_formulas(book, rows, first, used)
        except LogpxError:
            raise
        except Exception as error:  # A damaged workbook fails in openpyxl wherever it is damaged.
            raise DataError(
                f"not a readable Excel workbook: {error}",
                file=file,
                fix="open it in a spreadsheet program and save it as .xlsx, without a password, or as CSV",
            ) from None
        self.stored = self._table.schema

    def count_rows(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def read(self, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns as stored, at most ``rows`` rows at a time."""
        yield from self._table.select(list(names)).to_batches(max_chunksize=rows)

    def _rows_of(self, book: str, *, values: bool) -> list[_Row]:
        """Return all rows of the sheet up to the last one with a cell: values, or else formulas."""
        try:
            import openpyxl
        except ImportError as error:
            raise MissingExtraError("openpyxl", "excel") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About styles and other things that do not matter here.
            with open(book, "rb") as stream:
                workbook = openpyxl.load_workbook(stream, read_only=True, data_only=values)
                sheet = self._sheet(workbook, book)
                sheet.reset_dimensions()
                rows: list[_Row] = list(sheet.iter_rows(values_only=True))
        while rows and all(cell is None for cell in rows[-1]):
            rows.pop()
        width = max(map(len, rows), default=0)
        return [(*row, *[None] * (width - len(row))) for row in rows]

    def _sheet(self, workbook: Any, book: str) -> Any:
        sheets = {sheet.title: sheet for sheet in workbook.worksheets}
        if self._wanted:
            if self._wanted not in sheets:
                raise UsageError(
                    f"the workbook has no sheet {self._wanted!r}",
                    file=book,
                    fix=suggestion(self._wanted, list(sheets)),
                )
            return sheets[self._wanted]
        shown = [title for title, sheet in sheets.items() if sheet.sheet_state == "visible"] or list(sheets)
        if len(shown) > 1:
            other = f"{os.path.basename(book)}#{shown[1]}"
            self.notes = (f"of {len(shown)} sheets the first is read ({shown[0]!r}); the next is {other!r}",)
        return sheets[shown[0]]

    def _layout(self, rows: list[_Row]) -> tuple[int, int]:
        """Return the indices of the row that names the columns and of the first row below it."""
        used = _used_columns(rows)
        records = []
        for index, row in enumerate(rows[:_SNIFFED]):
            texts = tuple(_text(row[column]) for column in used)
            filled = tuple(filter(str.strip, texts))
            if filled:
                records.append(Record(filled if len(filled) == 1 else texts, index, index + 1))
        layout = layout_of(records, "\t")
        if layout.header is None:
            problem = "the sheet is empty" if not records else "no row of the sheet names the columns"
            raise DataError(problem, file=self.file, fix="give a sheet whose first row names the columns")
        if layout.above:
            first = ", ".join(layout.above[0].filled)
            self.notes = (
                *self.notes,
                f"{counted(len(layout.above), 'row')} above the header are skipped: {first!r}",
            )
        if layout.units is not None:
            units = ", ".join(layout.units.filled)
            self.notes = (*self.notes, f"the row of units below the header is skipped: {units!r}")
        return layout.header.start, (layout.units or layout.header).end

    def _typed(self, rows: list[_Row], header: int, first: int, used: list[int]) -> pa.Table:
        names = [_text(rows[header][index]) for index in used]
        below = [[_text(row[index]) for index in used] for row in rows[first:_SNIFFED]]
        check_names(names, self.file, below)
        columns = {
            name: [row[index] for row in rows[first:]] for name, index in zip(names, used, strict=True)
        }
        table = pa.table({name: _array(cells) for name, cells in columns.items()})
        self.mixed = frozenset(
            field.name
            for field in table.schema
            if pa.types.is_string(field.type)
            and not all(cell is None or isinstance(cell, str) for cell in columns[field.name])
        )
        return table

    def _refuse_unsaved_formulas(self, book: str, rows: list[_Row], first: int, used: list[int]) -> None:
        """Raise if a cell without a value has a formula: only spreadsheet programs compute formulas."""
        if not any(row[index] is None for row in rows[first:] for index in used):
            return
        for number, (row, written) in enumerate(zip(rows, self._rows_of(book, values=False), strict=False)):
            for index in used if number >= first else ():
                if row[index] is None and str(written[index] or "").startswith("="):
                    raise DataError(
                        f"the formula {str(written[index])!r} was saved without its value",
                        file=self.file,
                        row=number - first + 1,
                        column=self._table.schema.names[used.index(index)],
                        fix="open the workbook in a spreadsheet program and save it, which computes formulas",
                    )


def _used_columns(rows: list[_Row]) -> list[int]:
    width = max(map(len, rows), default=0)
    return [index for index in range(width) if any(row[index] is not None for row in rows)]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ") if cell.time() != datetime.time() else cell.date().isoformat()
    return str(cell)


def _array(cells: list[Any]) -> pa.Array:
    """Return cells in the type that they share, or as text; words for a missing value are missing."""
    cells = [None if isinstance(cell, str) and cell.strip() in ("", *USUAL_WORDS) else cell for cell in cells]
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds and kinds <= {int, float, str} and kinds != {str}:
        # Numbers that were typed as text.
        if all(is_number(cell) for cell in cells if isinstance(cell, str)):
            numbers = [float(cell) if isinstance(cell, str) else cell for cell in cells]
            return pa.array(numbers, pa.int64() if kinds == {int} else pa.float64())
    elif kinds == {datetime.datetime}:
        if all(cell is None or cell.time() == datetime.time() for cell in cells):
            return pa.array([None if cell is None else cell.date() for cell in cells], pa.date32())
        return pa.array(cells, pa.timestamp("us"))
    elif len(kinds) <= 1:
        return pa.array(cells)
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())
