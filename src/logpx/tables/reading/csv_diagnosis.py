"""Why a delimited text file could not be read: a second, slow pass that finds the row."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence

import pyarrow as pa

from logpx.errors import DataError
from logpx.tables.reading.csv_header import CsvHeader, open_rows
from logpx.tables.reading.encodings import not_utf8
from logpx.tables.reading.missing_words import USUAL_WORDS

__all__ = ["diagnose", "unterminated_quote"]

_CHUNK = 1 << 20
_SHOWN = 40


def diagnose(file: str, header: CsvHeader, error: Exception) -> DataError:
    """Return the error that tells a user what is wrong with a file, and where.

    Parameters
    ----------
    file : str
        The file.
    header : CsvHeader
        Its header line.
    error : Exception
        The error that Arrow raised.
    """
    try:
        return (
            _wrong_encoding(file, header)
            or _wrong_row(file, header)
            or _too_long(file, error)
            or DataError(
                f"the file cannot be read: {_first_line(error)}",
                file=file,
                fix="check that every row is one line with as many fields as the header",
            )
        )
    except (OSError, pa.ArrowException) as damage:
        return DataError(
            f"the file cannot be read to its end: {_first_line(damage)}",
            file=file,
            fix="the file is truncated or damaged: write or download it again",
        )


def _too_long(file: str, error: Exception) -> DataError | None:
    """Return an error if Arrow's reader met a row that does not fit into one of its blocks; else None."""
    if "straddl" not in str(error):
        return None
    return DataError(
        "a row has several megabytes of text, more than can be read at once",
        file=file,
        fix="look for a quote that is never closed, or drop the column with the long texts",
    )


def unterminated_quote(file: str, header: CsvHeader) -> DataError | None:
    """Return an error if the last field of a file opens a quote and never closes it; else None."""
    rows = 0
    with open_rows(file, header) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="")
        try:
            for record in csv.reader(text, delimiter=header.delimiter, strict=True):
                rows += bool(record)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                return DataError(
                    "a quote is opened and never closed, so the rest of the file would be one field",
                    file=file,
                    row=rows + 1,
                    fix="close the quote in this row, or remove it",
                )
    return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _wrong_encoding(file: str, header: CsvHeader) -> DataError | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    before, lines = header.start, 0
    with open_rows(file, header) as stream:
        while chunk := stream.read(_CHUNK):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                place = before - held + error.start
                around = error.object[: error.start], error.object[error.start :]
                row = lines + error.object.count(b"\n", 0, error.start) + 1
                return not_utf8(file, f"byte {place} of the file", around, row)
            before += len(chunk)
            lines += chunk.count(b"\n")
    unfinished = decoder.getstate()[0]
    if not unfinished:
        return None
    return not_utf8(file, f"byte {before - len(unfinished)} of the file", (b"", unfinished), lines + 1)


def _wrong_row(file: str, header: CsvHeader) -> DataError | None:
    row = 0
    with open_rows(file, header) as stream:
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8", newline=""), delimiter=header.delimiter)
        try:
            for record in reader:
                if not record:
                    continue
                row += 1
                if len(record) != header.fields:
                    return _ragged(file, row, record, header)
                for cell in record[len(header.names) :]:
                    if cell.strip() not in ("", *USUAL_WORDS):
                        return _unnamed(file, row, cell)
        except csv.Error as error:
            return DataError(
                f"the row cannot be split into fields: {error}",
                file=file,
                row=row + 1,
                fix="check the quotes in this row",
            )
    if row < 1:
        return DataError("the table has no rows", file=file, fix="check that the file was written to its end")
    return None


def _ragged(file: str, row: int, record: Sequence[str], header: CsvHeader) -> DataError:
    found = len(record)
    fix = "correct the row; a field that contains the delimiter needs quotes around it"
    if row == 1:
        fix += f"; or correct the header, which reads {_shown(header.delimiter.join(header.names))}"
        fix += " and may lack a name for the column of row names" if found == header.fields + 1 else ""
    if record[0].lstrip().startswith("#"):
        fix = "if the line is a comment, remove it: comments are skipped above the header alone"
    fields = "1 field" if found == 1 else f"{found} fields"
    columns = "1 column" if header.fields == 1 else f"{header.fields} columns"
    return DataError(f"{fields}, but the header names {columns}", file=file, row=row, fix=fix)


def _unnamed(file: str, row: int, cell: str) -> DataError:
    return DataError(
        f"the value {_shown(cell)} in a column that has no name",
        file=file,
        row=row,
        fix="name the column in the header, or remove the value",
    )


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…")
