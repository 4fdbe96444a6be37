"""A delimited text file as a part of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.csv as pacsv

from logpx.errors import DataError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.csv_diagnosis import diagnose, unterminated_quote
from logpx.tables.reading.csv_header import CsvHeader, open_rows, read_header
from logpx.tables.reading.csv_layout import MISSING_MARKERS
from logpx.tables.reading.part import Part

__all__ = ["CsvPart"]

_BLOCK = 1 << 20
_LARGEST_BLOCK = 1 << 30
_ROWS_PER_BLOCK = 64


class _QuoteCounter:
    """A stream that counts its quotes: Arrow reads an unclosed quote as one long cell."""

    closed = False

    def __init__(self, file: str, header: CsvHeader) -> None:
        self._stream = open_rows(file, header)
        self.quotes = 0

    def read(self, size: int) -> bytes:
        content: bytes = self._stream.read(size)
        self.quotes += content.count(b'"')
        return content

    def close(self) -> None:
        self.closed = True
        self._stream.close()


class CsvPart(Part):
    """A file of delimited text with a header, read block by block.

    A column holds numbers if its first block of rows reads as numbers; it is then read as float64 to the end
    of the file, and text in it is an error that names its row. Blank lines are skipped.

    Parameters
    ----------
    file : str
        Its path; a file whose name ends in .gz, .bz2, .zst, .xz or .lz4 is decompressed.

    Raises
    ------
    DataError
        If the file is empty, has no proper header line, or is not UTF-8 text.
    """

    convertible = True

    def __init__(self, file: str) -> None:
        self.file: str = file
        self.header = read_header(file)
        self.notes = self.header.notes
        # Arrow needs every row to fit into a block, and a row is rarely much longer than its header.
        self._block = min(max(_BLOCK, _ROWS_PER_BLOCK * self.header.length), _LARGEST_BLOCK)
        self.types = self._sniffed_types()

    def count_rows(self) -> int:
        """Return the number of rows, by reading the first column."""
        first = next(iter(self.types))
        return sum(piece.num_rows for piece in self.read({first: ColumnType.TEXT}, rows=0))

    def read(self, types: Mapping[str, ColumnType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, a block at a time, whatever ``rows`` is."""
        stored = {name: kind.arrow for name, kind in types.items()}
        stream = _QuoteCounter(self.file, self.header)
        try:
            with self._open(stream, stored) as reader:
                for piece in reader:
                    # A header alone comes as one empty piece.
                    if piece.num_rows:
                        yield piece.select(list(types))
            if stream.quotes % 2 and (error := unterminated_quote(self.file, self.header)):
                raise error
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise diagnose(self.file, self.header, types, error) from None

    def _sniffed_types(self) -> dict[str, ColumnType | None]:
        try:
            with self._open(open_rows(self.file, self.header), None) as reader:
                schema = reader.schema
        except (pa.ArrowException, OSError, ValueError) as error:
            raise diagnose(self.file, self.header, {}, error) from None
        types: dict[str, ColumnType | None] = {}
        for name, field in zip(self.header.names, schema, strict=False):
            kind = ColumnType.of(field.type)
            if pa.types.is_null(field.type):
                types[name] = None
            elif kind in (ColumnType.NUMBER, ColumnType.TIMESTAMP):
                types[name] = kind
            else:
                # Booleans, and bytes that are not UTF-8, which are reported when the rows are read.
                types[name] = ColumnType.TEXT
        return types

    def _open(self, stream: object, stored: Mapping[str, pa.DataType] | None) -> pacsv.CSVStreamingReader:
        convert = pacsv.ConvertOptions(
            null_values=list(MISSING_MARKERS), strings_can_be_null=True, quoted_strings_can_be_null=True
        )
        # Cells of columns without a name are an error.
        unnamed = {f"\0{index}": pa.null() for index in range(self.header.unnamed)}
        convert.column_types = unnamed if stored is None else {**stored, **unnamed}
        if stored is not None:
            convert.include_columns = [*stored, *unnamed]
        return pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                block_size=self._block, use_threads=False, column_names=[*self.header.names, *unnamed]
            ),
            parse_options=pacsv.ParseOptions(delimiter=self.header.delimiter, newlines_in_values=True),
            convert_options=convert,
        )
