"""Standard input as a part of a table: kept in a file while it is read, for tables are read several times."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from logpx.errors import LogpxError, ResourceError, UsageError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.part import Part

__all__ = ["StandardInput"]

_NAME = "standard input"


class StandardInput(Part):
    """What is piped in, copied to a temporary file that errors do not mention.

    Parameters
    ----------
    extension : callable
        Returns the extension that suits the content of a file.
    reader : callable
        Returns the part that is stored in a file.

    Raises
    ------
    UsageError
        If standard input is a terminal, closed or empty.
    ResourceError
        If there is no room for the copy.
    """

    def __init__(self, extension: Callable[[str], str], reader: Callable[[str], Part]) -> None:
        stream = sys.stdin
        if stream is None or stream.closed or stream.isatty():
            raise UsageError(
                "nothing is piped into standard input", fix="pipe a table in: logpx … - < table.csv"
            )
        folder = tempfile.mkdtemp(prefix="logpx-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, "stdin")
        try:
            with open(path, "wb") as copy:
                shutil.copyfileobj(getattr(stream, "buffer", stream), copy)
        except OSError as error:
            raise ResourceError(
                f"standard input cannot be kept: {error.strerror or error}",
                file=folder,
                fix="free some space there, or name another folder in the environment variable TMPDIR",
            ) from None
        if os.path.getsize(path) == 0:
            raise UsageError(
                "standard input is empty, or was read already", fix="pipe a table in, and give - once"
            )
        self._path = path + extension(path)
        os.rename(path, self._path)
        self.file = _NAME
        with self._renamed():
            self._part = reader(self._path)
        self.types, self.convertible, self.notes = (
            self._part.types,
            self._part.convertible,
            self._part.notes,
        )

    def count_rows(self) -> int:
        """Return the number of rows."""
        with self._renamed():
            return self._part.count_rows()

    def read(self, types: Mapping[str, ColumnType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, about ``rows`` rows at a time."""
        with self._renamed():
            yield from self._part.read(types, rows)

    @contextmanager
    def _renamed(self) -> Iterator[None]:
        """Put standard input in the place of the temporary file in errors."""
        try:
            yield
        except LogpxError as error:
            if error.file == self._path:
                error.file = _NAME
            error.message = error.message.replace(self._path, "-")
            error.fix = None if error.fix is None else error.fix.replace(self._path, "-")
            raise
