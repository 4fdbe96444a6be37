"""The formats of files that tables are read from and written to, by extension."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow.parquet as pq

from logpx.errors import UsageError
from logpx.suggestions import alternatives
from logpx.tables.encoders import OpenEncoder, compressed, delimited
from logpx.tables.reading.csv_part import CsvPart
from logpx.tables.reading.parquet_part import ParquetPart
from logpx.tables.reading.part import Part

__all__ = [
    "TABLE_FORMATS",
    "TableFormat",
    "extension_of",
    "format_read",
    "format_written",
    "is_delimited_text",
]


@dataclass(frozen=True)
class TableFormat:
    """A format of files.

    Attributes
    ----------
    reader : callable
        Returns the part of a table that is stored in a file, given its name.
    encoder : callable or None
        Opens an encoder of rows on a stream; None for a format that is only read.
    """

    reader: Callable[[str], Part]
    encoder: OpenEncoder | None = None


TABLE_FORMATS: Mapping[str, TableFormat] = {
    ".parquet": TableFormat(ParquetPart, pq.ParquetWriter),
    ".csv": TableFormat(CsvPart, delimited(",")),
    ".tsv": TableFormat(CsvPart, delimited("\t")),
    ".csv.gz": TableFormat(CsvPart, compressed(delimited(","))),
    ".tsv.gz": TableFormat(CsvPart, compressed(delimited("\t"))),
    ".csv.bz2": TableFormat(CsvPart),
    ".tsv.bz2": TableFormat(CsvPart),
    ".csv.zst": TableFormat(CsvPart),
    ".tsv.zst": TableFormat(CsvPart),
}


def extension_of(path: str) -> str | None:
    """Return the extension that names a file's format, or None.

    Examples
    --------
    >>> extension_of("A.CSV.gz"), extension_of("a.txt")
    ('.csv.gz', None)
    """
    name = os.path.basename(path).lower()
    return next((extension for extension in TABLE_FORMATS if name.endswith(extension)), None)


def is_delimited_text(path: str) -> bool:
    """Tell whether a table is written to a path as delimited text; ``-`` is standard output.

    Examples
    --------
    >>> is_delimited_text("a.csv.gz"), is_delimited_text("-"), is_delimited_text("a.parquet")
    (True, True, False)
    """
    extension = ".csv" if path == "-" else extension_of(path)
    return extension is not None and extension.startswith((".csv", ".tsv"))


def format_read(path: str) -> TableFormat:
    """Return the format of a file to read.

    Raises
    ------
    UsageError
        If the extension is not that of a known format.
    """
    extension = extension_of(path)
    if extension is None:
        raise UsageError(
            "the file's extension is not a known table format",
            file=path,
            fix=f"convert or rename the file to one of {', '.join(TABLE_FORMATS)}",
        )
    return TABLE_FORMATS[extension]


def format_written(path: str) -> OpenEncoder:
    """Return the function that opens an encoder for a file to write.

    Raises
    ------
    UsageError
        If the extension is not that of a format that can be written.
    """
    extension = extension_of(path)
    encoder = None if extension is None else TABLE_FORMATS[extension].encoder
    if encoder is None:
        able = [name for name, one in TABLE_FORMATS.items() if one.encoder is not None]
        raise UsageError(
            "files with this extension cannot be written",
            file=path,
            fix=f"use {alternatives(able)}",
        )
    return encoder
