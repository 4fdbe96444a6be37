"""Why a delimited text file could not be read: a second, slow pass that finds the row."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator

import pyarrow as pa

from logpx.errors import DataError
from logpx.tables.reading.csv_header import CsvHeader, open_bytes

__all__ = ["diagnose", "unterminated_quote"]

_CHUNK = 1 << 20


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
            _wrong_encoding(file)
            or _wrong_row(file, header)
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


def unterminated_quote(file: str, header: CsvHeader) -> DataError | None:
    """Return an error if the last field of a file opens a quote and never closes it; else None."""
    rows = 0
    with open_bytes(file) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        try:
            for record in csv.reader(text, delimiter=header.delimiter, strict=True):
                rows += bool(record)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                return DataError(
                    "a quote is opened and never closed, so the rest of the file would be one field",
                    file=file,
                    row=rows,
                    fix="close the quote in this row, or remove it",
                )
    return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _chunks(file: str) -> Iterator[bytes]:
    with open_bytes(file) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _wrong_encoding(file: str) -> DataError | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = lines = 0
    for chunk in _chunks(file):
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return _not_utf8(
                file, before - held + error.start, lines + error.object.count(b"\n", 0, error.start)
            )
        before += len(chunk)
        lines += chunk.count(b"\n")
    held = len(decoder.getstate()[0])
    return _not_utf8(file, before - held, lines) if held else None


def _not_utf8(file: str, offset: int, lines: int) -> DataError:
    return DataError(
        f"byte {offset} of the file is not UTF-8 text",
        file=file,
        row=max(lines, 1),
        fix="save the file again as UTF-8",
    )


def _wrong_row(file: str, header: CsvHeader) -> DataError | None:
    row = -1
    with open_bytes(file) as stream:
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), delimiter=header.delimiter)
        try:
            for record in reader:
                if not record:
                    continue
                row += 1
                if len(record) != len(header.names):
                    return _ragged(file, row, len(record), len(header.names))
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


def _ragged(file: str, row: int, found: int, expected: int) -> DataError:
    return DataError(
        f"{found} fields, but the header names {expected} columns",
        file=file,
        row=row,
        fix="correct the row; a field that contains the delimiter needs quotes around it",
    )
