"""The formats that a table can be written in."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import IO, Protocol, cast

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from logpx.errors import UsageError

__all__ = ["Encoder", "OpenEncoder", "encoder_for"]


class Encoder(Protocol):
    """Turns batches into bytes on a stream."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    def close(self) -> None:
        """Write what the format needs at its end; the stream stays open."""


OpenEncoder = Callable[[IO[bytes], pa.Schema], Encoder]


def _delimited(delimiter: str) -> OpenEncoder:
    def open_encoder(stream: IO[bytes], schema: pa.Schema) -> Encoder:
        stream.write((delimiter.join(map(_quoted, schema.names)) + "\n").encode())
        # Of a single column, a missing cell would be an empty line, which no reader counts as a row.
        options = pacsv.WriteOptions(
            include_header=False, delimiter=delimiter, null_string="NA" if len(schema) == 1 else ""
        )
        encoder: Encoder = pacsv.CSVWriter(stream, schema, write_options=options)
        return encoder

    return open_encoder


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def _compressed(inner: OpenEncoder) -> OpenEncoder:
    class Compressed:
        def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
            self._stream = gzip.GzipFile(fileobj=stream, mode="wb", mtime=0)
            self._encoder = inner(cast("IO[bytes]", self._stream), schema)

        def write_batch(self, batch: pa.RecordBatch) -> None:
            self._encoder.write_batch(batch)

        def close(self) -> None:
            self._encoder.close()
            self._stream.close()

    return Compressed


_ENCODERS: dict[str, OpenEncoder] = {
    ".parquet": pq.ParquetWriter,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".csv.gz": _compressed(_delimited(",")),
    ".tsv.gz": _compressed(_delimited("\t")),
}


def encoder_for(path: str | None) -> OpenEncoder:
    """Return what opens an encoder of the format that a path's extension names; CSV for no path.

    Raises
    ------
    UsageError
        If the extension names no known format.
    """
    if path is None:
        return _ENCODERS[".csv"]
    name = os.path.basename(path).lower()
    for extension, encoder in _ENCODERS.items():
        if name.endswith(extension):
            return encoder
    raise UsageError(
        "the file's extension names no format that can be written",
        file=path,
        fix=f"use one of {', '.join(_ENCODERS)}",
    )
