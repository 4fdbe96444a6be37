"""The header of a delimited text file: delimiter, names, where the rows begin, and what is wrong with it."""

from __future__ import annotations

import codecs
import os
import shlex
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from logpx.errors import DataError
from logpx.tables.reading.compression import content_command, open_bytes
from logpx.tables.reading.csv_layout import Layout, find_layout, is_number
from logpx.tables.reading.encodings import not_utf8, utf16
from logpx.tables.reading.names import check_names

__all__ = ["CsvHeader", "open_rows", "read_header"]

_SNIFFED = 1 << 16
_LONGEST_HEADER = 1 << 26
_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class CsvHeader:
    """The header of a file.

    Attributes
    ----------
    names : tuple of str
        The column names.
    delimiter : str
        The character between fields.
    length : int
        The length of the line of names in bytes.
    start : int
        The number of bytes before the first row.
    unnamed : int
        How many columns without a name and without cells follow the others.
    notes : tuple of str
        What was skipped.
    """

    names: tuple[str, ...]
    delimiter: str
    length: int
    start: int
    unnamed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def fields(self) -> int:
        """The number of fields of every row."""
        return len(self.names) + self.unnamed


def open_rows(file: str, header: CsvHeader) -> Any:
    """Open a file for reading from its first row on."""
    stream = open_bytes(file)
    left = header.start
    while left > 0 and (skipped := stream.read(left)):
        left -= len(skipped)
    return stream


def read_header(file: str) -> CsvHeader:
    """Read the header of a file, and find the delimiter.

    Lines of comments (``#``) and titles above the header, a line of units in brackets below it, and columns
    without name and cells at its end are skipped; `CsvHeader.notes` says so.

    Raises
    ------
    DataError
        If the file is empty, is not UTF-8 text, has no header line, or gives two columns the same name.
    """
    head, complete = _head(file)
    if not head.strip():
        raise DataError("the file is empty", file=file, fix="check that the file was written to its end")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise utf16(file)
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    text, complete = _decoded(head[mark:], complete, file)
    named = file.lower()
    spaces = ".csv" not in named and ".tsv" not in named
    layout = find_layout(text, complete=complete, spaces=spaces, tabs=".tsv" in named)
    header = layout.header
    if header is None:
        raise _no_header(layout, file)
    if spaces and layout.aligned:
        raise _aligned(file)
    if spaces and len(header.fields) == 1 and header.fields[0].strip():
        # Numbers between spaces are no name of a single column.
        words = tuple(header.fields[0].split())
        check_names(words if all(map(is_number, words)) else header.fields, file)
    count, unnamed = _named_and_unnamed(layout)
    names = header.fields[:count]
    check_names(names, file, [row.fields for row in layout.rows])
    end = header.end if layout.units is None else layout.units.end
    return CsvHeader(
        names=names,
        delimiter=layout.delimiter,
        length=len(text[header.start : header.end].encode()),
        start=mark + len(text[:end].encode()),
        unnamed=unnamed,
        notes=tuple(_notes(layout, text, max(unnamed, len(header.fields) - count))),
    )


def _decoded(head: bytes, complete: bool, file: str) -> tuple[str, bool]:
    """Return the text of the first bytes of a file, and whether it is the whole file."""
    try:
        # The head may end in the middle of a character; only at the end of the file is that an error.
        return codecs.getincrementaldecoder("utf-8")().decode(head, final=complete), complete
    except UnicodeDecodeError as error:
        if head.count(b"\n", 0, error.start) == 0:
            around = head[: error.start], head[error.start :]
            raise not_utf8(file, f"byte {error.start} of the header line", around) from None
        return head[: error.start].decode(), False


def _head(file: str) -> tuple[bytes, bool]:
    # Enough of the file to hold the header line and a few rows; a header of 100 000 columns takes a megabyte.
    head = b""
    wanted = _SNIFFED
    with open_bytes(file) as stream:
        try:
            while True:
                more = stream.read(wanted - len(head))
                head += more
                if len(more) == 0:
                    return head, True
                lines = head.strip(b"\r\n")
                if len(head) >= wanted:
                    if b"\n" in lines or b"\r" in lines:
                        return head, False
                    if wanted >= _LONGEST_HEADER:
                        raise DataError(
                            f"the header line does not end in the first {wanted} bytes",
                            file=file,
                            fix="check that the file is delimited text with one line per row",
                        )
                    wanted *= 4
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"the file cannot be read: {error}", file=file, fix="write the file again"
            ) from None


def _blank_at_end(fields: tuple[str, ...]) -> int:
    """Count the fields at the end that are blank; the first field does not count."""
    count = 0
    while count < len(fields) - 1 and not fields[-1 - count].strip():
        count += 1
    return count


def _named_and_unnamed(layout: Layout) -> tuple[int, int]:
    """Count the columns, and the fields of rows after them without a name and, in the first rows, any cell.

    A delimiter may end the header, every row, or all of them.
    """
    assert layout.header is not None
    width = len(layout.header.fields)
    named = width - _blank_at_end(layout.header.fields)
    widths = {len(row.fields) for row in layout.rows} or {width}
    blank = min((_blank_at_end(row.fields) for row in layout.rows), default=width)
    if len(widths) > 1:
        return (width, 0) if min(widths) != width else (max(named, width - blank), min(width - named, blank))
    (fields,) = widths
    count = max(named, fields - blank)
    if count > width or fields < named:
        return width, 0
    return min(count, fields), fields - min(count, fields)


def _aligned(file: str) -> DataError:
    stem, _ = os.path.splitext(os.path.basename(file))
    command = f"{content_command(file)} | awk '{{$1=$1; print}}' OFS=, > {shlex.quote(stem + '.csv')}"
    return DataError(
        "fields are separated by several spaces", file=file, fix=f"separate them by commas: {command}"
    )


def _no_header(layout: Layout, file: str) -> DataError:
    first = _shown(layout.delimiter.join(layout.above[0].fields)) if layout.above else "''"
    return DataError(
        f"no header line: the first line is {first}, and the lines below it do not name the columns",
        file=file,
        fix="make the line with the names of the columns the first one, without # before it",
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _notes(layout: Layout, text: str, unnamed: int) -> list[str]:
    notes = []
    if layout.above:
        first = _shown(text[layout.above[0].start : layout.above[0].end].strip())
        count = len(layout.above)
        lines = "the line" if count == 1 else f"{count} lines"
        notes.append(f"{lines} above the header {'is' if count == 1 else 'are'} skipped: {first}")
    if layout.units is not None:
        shown = _shown(", ".join(layout.units.filled))
        notes.append(f"the line of units below the header is skipped: {shown}")
    if unnamed:
        columns = "a column" if unnamed == 1 else f"{unnamed} columns"
        notes.append(f"{columns} without a name and without cells {'is' if unnamed == 1 else 'are'} left out")
    return notes
