"""Opening a table: a path, a folder, a glob pattern, or data in memory."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from typing import Any

from logpx.errors import DataError, UsageError
from logpx.suggestions import path_suggestion
from logpx.tables.formats import (
    TABLE_FORMATS,
    extension_by_content,
    extension_of,
    format_read,
    plain_extensions,
)
from logpx.tables.reading.frame_part import FramePart, frame_columns
from logpx.tables.reading.part import Part
from logpx.tables.reading.standard_input import StandardInput
from logpx.tables.reading.table import Table
from logpx.tables.reading.xlsx_part import without_sheet

__all__ = ["open_table"]

_FORMATS = ", ".join(plain_extensions())


def open_table(
    source: Any,
    columns: Sequence[str] | None = None,
    *,
    missing: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
    decimal: str | None = None,
) -> Table:
    """Open a table, to be read in batches as often as needed.

    Parameters
    ----------
    source : path, array, tensor, dict of arrays, pyarrow.Table or data frame
        A path is a file (.parquet, .feather, .arrow, .orc, .xlsx; .csv, .tsv, .txt, .jsonl, perhaps
        compressed), a folder of such files, or a glob pattern; several files are read in the order of their
        names and must have the same columns. ``book.xlsx#Name`` is a sheet of a workbook, and ``-`` is
        standard input, whose format is found by its content. The columns of an array or tensor are named
        x0, x1, ...; a pandas or Polars frame is taken as it is.
    columns : sequence of str, optional
        The columns to read, in this order; all of them by default.
    missing : str, sequence of str or dict, optional
        Words that mean a missing cell, in addition to those that usually do in text files (``NA``, ``?``,
        ``null`` and the like; an empty cell always does): ``"-,."``, and for one column ``"income:-9,-8"``
        or ``{"income": ["-9", "-8"]}``. ``"none"`` frees a column, or all of them, of the usual words. A
        word that is a number means that number.
    decimal : {".", ","}, optional
        The decimal mark of numbers written as text; by default it is recognised.

    Raises
    ------
    UsageError
        If there is no such file, format, column or kind of source.
    DataError
        If the data cannot be read; names the file and what is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> table = open_table(np.zeros((5, 3)))
    >>> table.names, table.count_rows()
    (['x0', 'x1', 'x2'], 5)
    """
    if isinstance(source, Table):
        table = source
        if missing is not None or decimal is not None:
            table = Table(source.name, source.parts, missing=missing, decimal=decimal)
    elif isinstance(source, (str, os.PathLike)):
        table = _stored_table(str(os.fspath(source)), missing, decimal)
    else:
        label, content = frame_columns(source)
        table = Table(label, [FramePart(content)], missing=missing, decimal=decimal)
    return table if columns is None else table.select(columns)


def _stored_table(path: str, missing: Any, decimal: str | None) -> Table:
    parts: list[Part]
    if path == "-":
        parts = [StandardInput(_extension_of_input, lambda file: format_read(file).reader(file))]
        return Table(str(parts[0].file), parts, missing=missing, decimal=decimal)
    path = os.path.expanduser(path)
    parts = [format_read(file).reader(file) for file in _files(path)]
    return Table(path, parts, missing=missing, decimal=decimal)


def _extension_of_input(file: str) -> str:
    extension = extension_by_content(file)
    if extension is None:
        raise UsageError(
            "standard input is not of a format that tables are read from",
            fix=f"convert it to one of {_FORMATS}",
        )
    return extension


def _files(path: str) -> list[str]:
    if os.path.isdir(path):
        return _of_one_format(_in_folder(path), path)
    if os.path.exists(path):
        if not os.path.isfile(path):
            raise UsageError("neither a file nor a folder", file=path, fix=f"give a file of type {_FORMATS}")
        return [path]
    if os.path.isfile(without_sheet(path)):
        return [path]
    if glob.has_magic(path):
        files = sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))
        if files:
            return _of_one_format(files, path)
        raise UsageError("no file matches this pattern", file=path, fix="check the pattern and the folder")
    raise UsageError("no such file or folder", file=path, fix=path_suggestion(path))


def _in_folder(path: str) -> list[str]:
    try:
        entries = sorted(os.listdir(path))
    except OSError as error:
        raise DataError(
            f"the folder cannot be read: {error.strerror}", file=path, fix="check its permissions"
        ) from None
    # By a convention of Spark and similar tools, a leading underscore or dot marks bookkeeping files.
    files = [os.path.join(path, name) for name in entries if not name.startswith(("_", "."))]
    tables = [file for file in files if _belongs_to_table(file)]
    if not tables and {"config.json", "manifest.json"} <= set(entries):
        raise DataError(
            "the folder holds a model, and no table", file=path, fix="name a table behind the model"
        )
    if not tables:
        found = ", ".join(entries[:5]) or "nothing"
        raise DataError(
            f"the folder holds no table (found: {found})",
            file=path,
            fix=f"give a folder with files of type {_FORMATS}",
        )
    return tables


def _belongs_to_table(file: str) -> bool:
    extension = extension_of(file)
    return extension is not None and TABLE_FORMATS[extension].in_folders and os.path.isfile(file)


def _of_one_format(files: list[str], path: str) -> list[str]:
    readers = {format_read(file).reader: file for file in files}
    if len(readers) > 1:
        one, other = list(readers.values())[:2]
        raise DataError(
            f"files of different formats, such as {os.path.basename(one)} and {os.path.basename(other)}",
            file=path,
            fix="name one format with a pattern, such as folder/*.parquet",
        )
    return files
