"""Text that is not UTF-8: which encoding it may have, and the command that converts it."""

from __future__ import annotations

import os
import re
import shlex

from logpx.errors import DataError
from logpx.tables.reading.compression import COMPRESSIONS, content_command

__all__ = ["not_utf8", "utf16"]

# Names that iconv and Python both know.
_LEGACY = ("CP1252", "ISO-8859-1")
_CONTEXT = 24
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def not_utf8(file: str, place: str, around: tuple[bytes, bytes], row: int | None = None) -> DataError:
    """Return the error for bytes that are not UTF-8 text.

    Parameters
    ----------
    file : str
        The file.
    place : str
        Which byte it is, as the subject of the message.
    around : tuple of (bytes, bytes)
        What stands before the byte, and the byte with what follows.
    row : int, optional
        The row.
    """
    before, after = around
    if _BINARY.search(before[-_CONTEXT:] + after[:_CONTEXT]):
        return DataError(
            f"{place} is not UTF-8 text, and neither is what stands around it",
            file=file,
            row=row,
            fix="check what kind of file it is, and give text in UTF-8",
        )
    cell = (
        re.split(rb'[,;\t|"\r\n]', before)[-1][-_CONTEXT:] + re.split(rb'[,;\t|"\r\n]', after)[0][:_CONTEXT]
    )
    encoding, shown = _decoded(cell)
    return DataError(
        f"{place} is not UTF-8 text; as {encoding} the cell reads {shown!r}",
        file=file,
        row=row,
        fix=f"if that is right, convert the file to UTF-8: {_command(file, encoding)}",
    )


def utf16(file: str) -> DataError:
    """Return the error for UTF-16 text."""
    return DataError(
        "the file is UTF-16 text, expected UTF-8",
        file=file,
        fix=f"convert the file to UTF-8: {_command(file, 'UTF-16')}",
    )


def _decoded(cell: bytes) -> tuple[str, str]:
    for encoding in _LEGACY:
        try:
            return encoding, cell.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("every byte is a character of ISO-8859-1")


def _command(file: str, encoding: str) -> str:
    """Return the command that writes a file anew as UTF-8, into the current folder."""
    name = os.path.basename(file)
    for extension in COMPRESSIONS:
        name = name.removesuffix(extension)
    stem, extension = os.path.splitext(name)
    target = shlex.quote(f"{stem}.utf8{extension}")
    return f"{content_command(file)} | iconv -f {encoding} -t UTF-8 > {target}"
