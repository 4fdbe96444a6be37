"""Writing a table row by row into a file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx.errors import ResourceError, UsageError
from logpx.files.flushing import flush_folder
from logpx.tables.formats import format_written
from logpx.tables.reading.text_form import TextForm
from logpx.wording import counted

__all__ = ["TableWriter", "open_writer"]


class TableWriter:
    """A table being written; see `open_writer`."""

    def __init__(
        self, path: str | None, schema: pa.Schema, overwrite: bool, text_form: TextForm | None
    ) -> None:
        self.schema = schema
        self.rows = 0
        self._path = path
        self._overwrite = overwrite
        self._temporary: str | None = None
        # Standard output has no name: what goes there is CSV.
        open_encoder = format_written(".csv" if path is None else path, text_form)
        if path is not None and os.path.isdir(path):
            raise UsageError("the output is a folder", file=path, fix="give the name of a file")
        if path is not None and not overwrite:
            self._refuse_existing()
        try:
            self._stream: IO[bytes] = sys.stdout.buffer if path is None else self._sibling(path)
            self._encoder = open_encoder(self._stream, schema)
        except OSError as error:
            self._discard()
            raise self._resource_error(error) from error
        except BaseException:
            self._discard()
            raise

    def write(self, columns: pa.RecordBatch | Mapping[str, Any] | npt.NDArray[Any]) -> None:
        """Append rows.

        Parameters
        ----------
        columns : pyarrow.RecordBatch, dict of arrays, or numpy.ndarray of shape (n, d)
            The columns of the schema, in its order if they are not named.

        Raises
        ------
        ResourceError
            If the disk is full or the file cannot be written.
        UsageError
            If the columns are not those of the schema.
        """
        batch = self._batch(columns)
        try:
            self._encoder.write_batch(batch)
        except OSError as error:
            raise self._resource_error(error) from error
        self.rows += batch.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # Standard output keeps what was written, and gets no header if that was nothing.
            if self._path is not None:
                with suppress(Exception):
                    self._encoder.close()
            self._discard()
            return
        try:
            self._encoder.close()
            self._stream.flush()
            if self._path is not None and self._temporary is not None:
                os.fsync(self._stream.fileno())
                self._stream.close()
                if not self._overwrite:
                    self._refuse_existing()
                os.replace(self._temporary, self._path)
                self._temporary = None
                with suppress(OSError):  # Not every file system can flush a folder; the file itself is safe.
                    flush_folder(os.path.dirname(self._path) or ".")
        except OSError as failure:
            self._discard()
            raise (
                failure if isinstance(failure, ResourceError) else self._resource_error(failure)
            ) from failure
        except UsageError:
            self._discard()
            raise

    def _batch(self, columns: pa.RecordBatch | Mapping[str, Any] | npt.NDArray[Any]) -> pa.RecordBatch:
        if isinstance(columns, np.ndarray):
            if columns.ndim != 2 or columns.shape[1] != len(self.schema):
                raise UsageError(
                    f"an array of shape {columns.shape} for {counted(len(self.schema), 'column')}",
                    fix="give one array column per table column",
                )
            columns = {name: columns[:, index] for index, name in enumerate(self.schema.names)}
        if isinstance(columns, pa.RecordBatch):
            columns = dict(zip(columns.schema.names, columns.columns, strict=True))
        if set(columns) != set(self.schema.names):
            raise UsageError(
                f"columns {sorted(columns)} for a table of {sorted(self.schema.names)}",
                fix="give these columns",
            )
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in self.schema]
        return pa.record_batch(arrays, schema=self.schema)

    def _sibling(self, path: str) -> IO[bytes]:
        folder, name = os.path.split(path)
        self._temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
        return open(self._temporary, "xb")

    def _refuse_existing(self) -> None:
        if self._path is not None and os.path.lexists(self._path):
            raise UsageError(
                "the output file already exists",
                file=self._path,
                fix="choose another name, or use --overwrite",
            )

    def _discard(self) -> None:
        if self._temporary is not None:
            with suppress(Exception):
                self._stream.close()
            with suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    def _resource_error(self, error: OSError) -> OSError:
        if isinstance(error, BrokenPipeError):
            return error  # The reader of the output is gone, which is not a fault of the machine.
        where = "standard output" if self._path is None else self._path
        return ResourceError(
            f"the table cannot be written: {error.strerror or error}",
            file=where,
            fix=_FIXES.get(error.errno or 0, "check the folder and its permissions"),
        )


_FIXES = {
    errno.ENOSPC: "free some space on the disk, or write to another one",
    errno.EDQUOT: "free some of your disk quota, or write to another disk",
    errno.EFBIG: "raise the limit on file sizes, or write to another disk",
    errno.ENOENT: "create the folder first, or correct the path",
}


def open_writer(
    path: str | os.PathLike[str] | None,
    schema: pa.Schema | Sequence[str],
    overwrite: bool = False,
    text_form: TextForm | None = None,
) -> TableWriter:
    """Open a table for writing, as a context manager.

    The rows go to a temporary file beside the target. It takes the target's name when the block ends without
    an error, and is removed otherwise.

    Parameters
    ----------
    path : path or None
        A .parquet, .csv or .tsv file, the latter two optionally with .gz. ``~`` is the home folder. None or
        ``-`` means CSV on standard output.
    schema : pyarrow.Schema, or sequence of str
        Names and types of the columns; names alone mean columns of float64.
    overwrite : bool
        Whether an existing file may be replaced.
    text_form : TextForm, optional
        The delimiter and the decimal mark of CSV, such as `Table.text_form`; a comma and a point by default.

    Raises
    ------
    UsageError
        If the file exists, or its extension names no known format.
    ResourceError
        If the disk is full or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from logpx.tables import open_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_writer(f"{folder}/scores.csv", ["log_prob"]) as writer:
    ...         writer.write({"log_prob": [-1.5, -2.25]})
    ...     [batch.numbers("log_prob").tolist() for batch in open_table(f"{folder}/scores.csv").batches()]
    [[-1.5, -2.25]]
    """
    if not isinstance(schema, pa.Schema):
        schema = pa.schema([(name, pa.float64()) for name in schema])
    target = None if path is None or os.fspath(path) == "-" else os.path.expanduser(os.fspath(path))
    return TableWriter(target, schema, overwrite, text_form)
