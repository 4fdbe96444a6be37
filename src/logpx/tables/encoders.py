"""Encoders, which turn rows into the bytes of a file."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import IO, Protocol, cast

import pyarrow as pa
import pyarrow.csv as pacsv

__all__ = ["Encoder", "OpenEncoder", "compressed", "delimited"]


class Encoder(Protocol):
    """Turns batches into bytes on a stream."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    def close(self) -> None:
        """Write what the format needs at the end; the stream stays open."""


OpenEncoder = Callable[[IO[bytes], pa.Schema], Encoder]


def delimited(delimiter: str) -> OpenEncoder:
    """Return a function that opens an encoder of delimited text with a header line."""

    def open_encoder(stream: IO[bytes], schema: pa.Schema) -> Encoder:
        stream.write((delimiter.join(map(_quoted, schema.names)) + "\n").encode())
        # A missing cell in a single column would be an empty line, which no reader counts as a row.
        options = pacsv.WriteOptions(
            include_header=False, delimiter=delimiter, null_string="NA" if len(schema) == 1 else ""
        )
        encoder: Encoder = pacsv.CSVWriter(stream, schema, write_options=options)
        return encoder

    return open_encoder


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def compressed(inner: OpenEncoder) -> OpenEncoder:
    """Return a function that opens an encoder of the same bytes, compressed with gzip."""

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
