"""JSON lines as a part of a table: one object per row."""

from __future__ import annotations

import codecs
import io
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson

from logpx.errors import DataError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.compression import content_command, open_bytes
from logpx.tables.reading.encodings import not_utf8, utf16
from logpx.tables.reading.part import Part
from logpx.tables.reading.untyped import read_untyped

__all__ = ["JsonlPart"]

_BLOCK = 1 << 22
_SHOWN = 60


@dataclass(frozen=True)
class _Lines:
    """Whole lines of a file: their bytes, and how many bytes and rows of the file come before them."""

    content: bytes
    start: int
    before: int

    @cached_property
    def lines(self) -> list[bytes]:
        return [line for line in self.content.split(b"\n") if line.strip()]


class JsonlPart(Part):
    """A file of JSON objects, one per line, read block by block.

    A column that has numbers in some rows and text in others is one of text.

    Parameters
    ----------
    file : str
        Its path; a file whose name ends in .gz, .bz2, .zst, .xz or .lz4 is decompressed.

    Raises
    ------
    DataError
        If a line is no JSON object, names a column twice, or is not UTF-8 text; names the row.
    """

    convertible = True

    def __init__(self, file: str) -> None:
        self.file: str = file
        stored: dict[str, pa.DataType] = {}
        self._rows = 0
        for block, table in self._tables(None):
            self._rows += len(block.lines)
            for field in table.schema:
                stored[field.name] = _unified(stored.get(field.name, pa.null()), field.type)
        if not stored:
            raise DataError(
                "the file has no values", file=file, fix="give one JSON object with the row's cells per line"
            )
        self.types = {name: ColumnType.of(kind) for name, kind in stored.items()}
        # Dates stay text as it is written.
        kept = {name: pa.string() if pa.types.is_temporal(kind) else kind for name, kind in stored.items()}
        self._schema = pa.schema(list(kept.items()))

    def count_rows(self) -> int:
        """Return the number of rows."""
        return self._rows

    def read(self, types: Mapping[str, ColumnType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most ``rows`` rows at a time."""
        for block, table in self._tables(self._schema):
            before = block.before
            for piece in table.combine_chunks().to_batches(max_chunksize=rows):
                columns = dict(zip(piece.schema.names, piece.columns, strict=True))
                yield read_untyped(columns, types, self.file, before)
                before += piece.num_rows

    def _tables(self, schema: pa.Schema | None) -> Iterator[tuple[_Lines, pa.Table]]:
        for block in self._blocks():
            if block.lines:
                yield block, self._parsed(block, schema)

    def _parsed(self, block: _Lines, schema: pa.Schema | None) -> pa.Table:
        options = pajson.ParseOptions(explicit_schema=schema, newlines_in_values=False)
        reading = pajson.ReadOptions(use_threads=False, block_size=len(block.content) + 1)
        try:
            table = pajson.read_json(io.BytesIO(block.content), reading, options)
            if table.num_rows == len(block.lines) and table.num_columns:
                return table if schema is None else table.select(schema.names)
        except (pa.ArrowException, ValueError, KeyError):
            pass  # Values of several types in a column, or an error to be located.
        return self._parsed_by_line(block, schema)

    def _parsed_by_line(self, block: _Lines, schema: pa.Schema | None) -> pa.Table:
        rows = [self._object(line, block.before + row) for row, line in enumerate(block.lines, 1)]
        if schema is None:
            names = list(dict.fromkeys(name for row in rows for name in row))
            columns = {name: _array([row.get(name) for row in rows], None) for name in names}
            return pa.table(columns)
        return pa.table(
            {field.name: _array([r.get(field.name) for r in rows], field.type) for field in schema}
        )

    def _object(self, line: bytes, row: int) -> dict[str, Any]:
        try:
            value = json.loads(line, object_pairs_hook=_without_repetition)
        except (ValueError, RecursionError) as error:
            raise self._no_object(f"{error}", line, row) from None
        if not isinstance(value, dict):
            raise self._no_object("expected one object per line", line, row)
        return value

    def _no_object(self, why: str, line: bytes, row: int) -> DataError:
        text = line.decode().strip()
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        fix = "correct the line"
        if row == 1 and text.startswith("["):
            convert = "import json, sys; [print(json.dumps(row)) for row in json.load(sys.stdin)]"
            command = f"{content_command(self.file)} | python -c {shlex.quote(convert)} > rows.jsonl"
            why, fix = "a JSON array", f"write one object per line: {command}"
        return DataError(f"no JSON object: {why}, in {shown!r}", file=self.file, row=row, fix=fix)

    def _blocks(self) -> Iterator[_Lines]:
        """Yield whole lines, some megabytes at a time, after checking that they are UTF-8 text."""
        start = before = 0
        rest = b""
        try:
            with open_bytes(self.file) as stream:
                while chunk := stream.read(_BLOCK):
                    if start == 0 and not rest:
                        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                            raise utf16(self.file)
                        chunk = chunk.removeprefix(codecs.BOM_UTF8)
                    whole, newline, rest_of_chunk = chunk.rpartition(b"\n")
                    if not newline:
                        rest += chunk
                        continue
                    block = _Lines(rest + whole + newline, start, before)
                    rest = rest_of_chunk
                    yield self._checked(block)
                    start += len(block.content)
                    before += len(block.lines)
                yield self._checked(_Lines(rest, start, before))
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"the file cannot be read to its end: {error}",
                file=self.file,
                fix="the file is truncated or damaged: write or download it again",
            ) from None

    def _checked(self, block: _Lines) -> _Lines:
        try:
            block.content.decode()
        except UnicodeDecodeError as error:
            around = block.content[: error.start], block.content[error.start :]
            row = block.before + block.content.count(b"\n", 0, error.start) + 1
            place = f"byte {block.start + error.start} of the file"
            raise not_utf8(self.file, place, around, row) from None
        return block


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated!r} occurs twice")
    return found


def _array(values: list[Any], stored: pa.DataType | None) -> pa.Array:
    """Return values as Arrow can hold them: as text if they are of several types."""
    if stored is None or not pa.types.is_string(stored):
        try:
            return pa.array(values, stored)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            if all(value is None or _is_real(value) for value in values):
                return pa.array([None if value is None else float(value) for value in values])
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unified(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return a type for values of both types."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if ColumnType.of(one) is ColumnType.of(other) is ColumnType.NUMBER:
        return pa.float64()
    if pa.types.is_nested(one) and pa.types.is_nested(other):
        try:
            schemas = [pa.schema([("cell", kind)]) for kind in (one, other)]
            return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        except pa.ArrowException:
            pass
    return pa.string()
