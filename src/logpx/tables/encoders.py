"""Encoders, which turn rows into the bytes of a file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from logpx.errors import UsageError
from logpx.tables.reading.cell_text import is_text, values_of
from logpx.tables.reading.compression import Compression
from logpx.tables.reading.text_form import TextForm

__all__ = ["Encoder", "OpenEncoder", "compressed", "delimited", "json_lines"]


class Encoder(Protocol):
    """Turns batches into bytes on a stream."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    def close(self) -> None:
        """Write what the format needs at the end; the stream stays open."""


OpenEncoder = Callable[[IO[bytes], pa.Schema], Encoder]


def delimited(form: TextForm) -> OpenEncoder:
    """Return a function that opens an encoder of delimited text with a header line.

    The header goes out with the first rows, or at the end of a table without any.
    """

    def open_encoder(stream: IO[bytes], schema: pa.Schema) -> Encoder:
        return _Delimited(stream, schema, form)

    return open_encoder


class _Delimited:
    """Writes cells as text, in quotes only if they need them, so that text comes out as it was read."""

    def __init__(self, stream: IO[bytes], schema: pa.Schema, form: TextForm) -> None:
        self._stream, self._delimiter = stream, form.delimiter
        self._decimal = "." if form.decimal == form.delimiter else form.decimal
        self._special = f'["\r\n{re.escape(form.delimiter)}]'
        self._header = form.delimiter.join(_quoted(name, form.delimiter) for name in schema.names) + "\n"
        # A missing cell in a single column would be an empty line, which few readers count as a row.
        self._missing = '""' if len(schema) == 1 else ""
        for field in schema:
            if pa.types.is_nested(field.type) or pa.types.is_duration(field.type):
                raise UsageError(
                    f"cells of type {field.type} have no form as text",
                    column=field.name,
                    fix="write a .parquet file, or leave the column out",
                )

    def write_batch(self, batch: pa.RecordBatch) -> None:
        columns = [self._text(column) for column in batch.columns]
        lines = pc.binary_join_element_wise(*columns, self._delimiter)
        self._put("".join(f"{line}\n" for line in lines.to_pylist()))

    def close(self) -> None:
        self._put("")

    def _put(self, text: str) -> None:
        # Should the stream fail, the header is not tried again when the encoder is closed.
        header, self._header = self._header, ""
        self._stream.write((header + text).encode())

    def _text(self, cells: pa.Array) -> pa.Array:
        text = pa.types.is_dictionary(cells.type) or is_text(cells.type)
        fractions = pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type)
        cells = pc.cast(values_of(cells), pa.string())
        if fractions and self._decimal != ".":
            cells = pc.replace_substring(cells, ".", self._decimal)
        special = pc.fill_null(pc.match_substring_regex(cells, self._special), False)
        if text and pc.any(special).as_py():
            quoted = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
            cells = pc.if_else(special, quoted, cells)
        empty = pc.fill_null(pc.equal(cells, ""), True)
        return pc.if_else(empty, self._missing, cells)


def _quoted(name: str, delimiter: str) -> str:
    """Return a name in quotes, if it would not be read as it stands; ``#`` would start a comment."""
    plain = name.strip() == name != "" and not name.startswith("#")
    if plain and not any(mark in name for mark in (delimiter, '"', "\r", "\n")):
        return name
    return '"' + name.replace('"', '""') + '"'


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
