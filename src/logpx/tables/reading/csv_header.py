"""The header line of a delimited text file: delimiter, names, and what is wrong with it."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from logpx.errors import DataError

__all__ = ["CsvHeader", "is_number", "open_bytes", "read_header"]

_DELIMITERS = ",;\t|"
_SNIFFED = 1 << 16
_LONGEST_HEADER = 1 << 26
_ROWS_COMPARED = 20

csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class CsvHeader:
    """The header line of a file.

    Attributes
    ----------
    names : tuple of str
        The column names.
    delimiter : str
        The character between fields.
    length : int
        The length of the line in bytes.
    blank_lines : int
        How many blank lines are before it.
    """

    names: tuple[str, ...]
    delimiter: str
    length: int
    blank_lines: int = 0


def open_bytes(file: str) -> pa.NativeFile:
    """Open a file for reading, decompressing it if its extension says so.

    Raises
    ------
    DataError
        If the file cannot be opened.
    """
    try:
        return pa.input_stream(file, compression="detect")
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"the file cannot be opened: {error}", file=file, fix="check its permissions"
        ) from None


def is_number(text: str) -> bool:
    """Whether a cell that is not missing reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.isascii()


def read_header(file: str) -> CsvHeader:
    """Read the header line of a file, and find the delimiter.

    Raises
    ------
    DataError
        If the file is empty, is not UTF-8 text, has no header line, or gives two columns the same name.
    """
    head, complete = _head(file)
    if not head.strip():
        raise DataError("the file is empty", file=file, fix="check that the file was written to its end")
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if head.startswith(mark):
            raise DataError(
                "the file is UTF-16 text, expected UTF-8", file=file, fix="save it again as UTF-8"
            )
    head = head.removeprefix(codecs.BOM_UTF8)
    try:
        # The head may end in the middle of a character; only at the end of the file is that an error.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=complete)
    except UnicodeDecodeError as error:
        line = head.count(b"\n", 0, error.start)
        if line > 0:
            text = head[: error.start].decode()
        else:
            raise DataError(
                f"byte {error.start} of the header line is not UTF-8 text",
                file=file,
                fix="save the file again as UTF-8, or use its proper extension if it is not text",
            ) from None
    delimiter = _delimiter(text, file)
    names = next(iter(_records(text, delimiter)), [])
    _check_names(names, file)
    rest = text.lstrip("\r\n")
    blank_lines = len(text[: len(text) - len(rest)].splitlines())
    return CsvHeader(tuple(names), delimiter, len(rest.partition("\n")[0].encode()), blank_lines)


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


def _records(text: str, delimiter: str) -> list[list[str]]:
    records = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if record:
                records.append(record)
            if len(records) > _ROWS_COMPARED:
                break
    except csv.Error:
        pass  # Errors after the header are found, with their row, when the rows are read.
    return records


def _delimiter(text: str, file: str) -> str:
    def merit(delimiter: str) -> tuple[float, int]:
        records = _records(text, delimiter)
        if not records or len(records[0]) == 1:
            return 0.0, 0
        rows = records[1:-1] or records[1:] or records
        return sum(len(row) == len(records[0]) for row in rows) / len(rows), len(records[0])

    best = max(_DELIMITERS, key=merit)
    if merit(best) != (0.0, 0):
        # A file whose rows never match its header is ragged for any delimiter; then the header alone decides.
        return best if merit(best)[0] > 0 else max(_DELIMITERS, key=lambda d: merit(d)[1])
    return "\t" if ".tsv" in file.lower() else ","


def _check_names(names: list[str], file: str) -> None:
    if any("\0" in name for name in names):
        raise DataError("the header line has NUL bytes", file=file, fix="save the file again as UTF-8 text")
    filled = [name for name in names if name.strip()]
    if filled and all(is_number(name) for name in filled):
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise DataError(
            f"no header line: the first line is all numbers ({shown})",
            file=file,
            fix="add a first line with the names of the columns",
        )
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(
                f"{count} columns have this name", file=file, column=name, fix="rename all but one"
            )
