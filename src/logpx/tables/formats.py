"""The formats of files that tables are read from and written to, by extension."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from logpx.errors import DataError, UsageError
from logpx.suggestions import alternatives
from logpx.tables.conversions import conversion
from logpx.tables.encoders import OpenEncoder, compressed, delimited, json_lines
from logpx.tables.reading.compression import COMPRESSIONS, compression_of
from logpx.tables.reading.csv_part import CsvPart
from logpx.tables.reading.ipc_part import IpcPart
from logpx.tables.reading.jsonl_part import JsonlPart
from logpx.tables.reading.orc_part import OrcPart
from logpx.tables.reading.parquet_part import ParquetPart
from logpx.tables.reading.part import Part
from logpx.tables.reading.text_form import TextForm
from logpx.tables.reading.xlsx_part import XlsxPart, without_sheet

__all__ = [
    "TABLE_FORMATS",
    "TableFormat",
    "extension_by_content",
    "extension_of",
    "format_read",
    "format_written",
    "is_delimited_text",
    "plain_extensions",
]

_HEAD = 256


@dataclass(frozen=True, kw_only=True)
class TableFormat:
    """A format of files.

    Attributes
    ----------
    reader : callable
        Returns the part of a table that is stored in a file, given its name.
    encoder : callable or None
        Opens an encoder of rows on a stream; None for a format that is only read.
    signatures : tuple of bytes
        What every such file starts with; none for text.
    in_folders : bool
        Whether such files in a folder are taken as parts of its table.
    """

    reader: Callable[[str], Part]
    encoder: OpenEncoder | None = None
    signatures: tuple[bytes, ...] = ()
    in_folders: bool = True


_ARROW = TableFormat(
    reader=IpcPart, encoder=pa.ipc.new_file, signatures=(b"ARROW1", b"\xff\xff\xff\xff", b"FEA1")
)
_EXCEL = TableFormat(reader=XlsxPart, signatures=(b"PK\x03\x04",))
_JSON = TableFormat(reader=JsonlPart, encoder=json_lines)

_BINARY = {
    ".parquet": TableFormat(reader=ParquetPart, encoder=pq.ParquetWriter, signatures=(b"PAR1",)),
    ".feather": _ARROW,
    ".arrow": _ARROW,
    ".orc": TableFormat(reader=OrcPart, signatures=(b"ORC",)),
    ".xlsx": _EXCEL,
    ".xlsm": _EXCEL,
}
_TEXT = {
    ".csv": TableFormat(reader=CsvPart, encoder=delimited(TextForm())),
    ".tsv": TableFormat(reader=CsvPart, encoder=delimited(TextForm("\t"))),
    # Beside tables, a text file is rather a note about them.
    ".txt": TableFormat(reader=CsvPart, in_folders=False),
    ".jsonl": _JSON,
    ".ndjson": _JSON,
}

TABLE_FORMATS: Mapping[str, TableFormat] = {
    **_BINARY,
    **_TEXT,
    **{
        plain + extension: TableFormat(
            reader=one.reader,
            encoder=None if one.encoder is None else compressed(one.encoder, compression),
            in_folders=one.in_folders,
        )
        for plain, one in _TEXT.items()
        for extension, compression in COMPRESSIONS.items()
    },
}


def plain_extensions(*, written: bool = False) -> list[str]:
    """Return the extensions of formats that are read, or written, without compressed forms.

    Examples
    --------
    >>> plain_extensions(written=True)
    ['.parquet', '.feather', '.arrow', '.csv', '.tsv', '.jsonl', '.ndjson']
    """
    formats = (_BINARY | _TEXT).items()
    return [extension for extension, one in formats if not written or one.encoder is not None]


def extension_of(path: str) -> str | None:
    """Return the extension that names a file's format, or None.

    Examples
    --------
    >>> extension_of("A.CSV.gz"), extension_of("book.xlsx#Sheet1"), extension_of("a.dat")
    ('.csv.gz', '.xlsx', None)
    """
    name = os.path.basename(without_sheet(path)).lower()
    return next((extension for extension in TABLE_FORMATS if name.endswith(extension)), None)


def extension_by_content(file: str) -> str | None:
    """Return the extension that the content of a file would have: that of its signature, or of text.

    Returns None for content that is neither.

    Raises
    ------
    DataError
        If the file cannot be opened.
    """
    head = _head(open, file, "rb")
    for extension, one in _BINARY.items():
        if head.startswith(one.signatures):
            return extension
    for extension, compression in COMPRESSIONS.items():
        if head.startswith(compression.signature):
            inner = _text_extension(_head(compression.reader, file))
            return None if inner is None else inner + extension
    return _text_extension(head)


def _head(opened: Callable[..., Any], file: str, *mode: str) -> bytes:
    """Return the first bytes of a file."""
    try:
        with opened(file, *mode) as stream:
            head: bytes = stream.read(_HEAD)
            return head
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"the file cannot be opened: {error}", file=file, fix="check its permissions, or write it again"
        ) from None


def _text_extension(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[{")) or text[:1] + text[1:].lstrip()[:1] == b"[{":
        return ".jsonl"
    # UTF-16 is text, too, of which the reader says what to do.
    return ".txt" if b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff")) else None


def is_delimited_text(path: str) -> bool:
    """Tell whether a table is written to a path as delimited text; ``-`` is standard output.

    Examples
    --------
    >>> is_delimited_text("a.csv.gz"), is_delimited_text("-"), is_delimited_text("a.parquet")
    (True, True, False)
    """
    extension = ".csv" if path == "-" else extension_of(path)
    return extension is not None and extension.startswith((".csv", ".tsv", ".txt"))


def format_read(path: str) -> TableFormat:
    """Return the format of a file to read: by its extension, or by its content if that says nothing.

    Raises
    ------
    UsageError
        If the file is of a format that is not read; says how to convert it.
    """
    extension = extension_of(path)
    if extension is None:
        known = conversion(path)
        if known is not None:
            raise UsageError("tables are not read from files of this format", file=path, fix=known)
        found = extension_by_content(path)
        if found is not None and (compression_of(path) is None) == (compression_of(found) is None):
            return TABLE_FORMATS[found]
        raise UsageError(
            "the file is not of a format that tables are read from",
            file=path,
            fix=f"convert it to one of {', '.join(plain_extensions())}",
        )
    if extension in _TEXT:
        found = extension_by_content(path)
        if found in _BINARY:
            return TABLE_FORMATS[found]
    return TABLE_FORMATS[extension]


def format_written(path: str, text_form: TextForm | None = None) -> OpenEncoder:
    """Return the function that opens an encoder for a file to write.

    Parameters
    ----------
    path : str
        Its name.
    text_form : TextForm, optional
        How delimited text is written; .tsv files have tabs in any case.

    Raises
    ------
    UsageError
        If the extension is not that of a format that can be written.
    """
    extension = extension_of(path)
    encoder = None if extension is None else TABLE_FORMATS[extension].encoder
    if encoder is not None and text_form is not None and extension is not None:
        plain, compression = os.path.splitext(extension)
        plain, compression = (plain, compression) if plain else (extension, "")
        if plain in (".csv", ".tsv"):
            encoder = delimited(text_form if plain == ".csv" else replace(text_form, delimiter="\t"))
            encoder = compressed(encoder, COMPRESSIONS[compression]) if compression else encoder
    if encoder is None:
        raise UsageError(
            "files with this extension cannot be written",
            file=path,
            fix=f"use {alternatives(plain_extensions(written=True))}",
        )
    return encoder
