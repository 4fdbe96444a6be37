"""Encoders, which turn rows into the bytes of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.csv as pacsv

from logpx.tables.reading.compression import Compression

__all__ = ["Encoder", "OpenEncoder", "compressed", "delimited", "json_lines"]


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


def json_lines(stream: IO[bytes], schema: pa.Schema) -> Encoder:
    """Open an encoder of JSON objects, one per line.

    A missing cell and NaN are null; infinities, which JSON does not have, are Infinity and -Infinity, as most
    readers of JSON expect. What is no JSON value (dates, decimals) is text.
    """

    class JsonLines:
        def write_batch(self, batch: pa.RecordBatch) -> None:
            lines = [
                json.dumps(_json_value(row), default=str, ensure_ascii=False) for row in batch.to_pylist()
            ]
            stream.write("".join(f"{line}\n" for line in lines).encode())

        def close(self) -> None:
            pass

    return JsonLines()


def _json_value(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(cell, float) and math.isnan(cell) else cell for name, cell in row.items()
    }


def compressed(inner: OpenEncoder, compression: Compression) -> OpenEncoder:
    """Return a function that opens an encoder of the same bytes, compressed."""

    class Compressed:
        def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
            self._stream = compression.writer(stream)
            self._encoder = inner(self._stream, schema)

        def write_batch(self, batch: pa.RecordBatch) -> None:
            self._encoder.write_batch(batch)

        def close(self) -> None:
            self._encoder.close()
            self._stream.close()

    return Compressed
