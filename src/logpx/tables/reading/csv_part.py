"""A delimited text file as a part of a table."""

from __future__ import annotations

import atexit
import time
import weakref
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pacsv

from logpx.errors import DataError
from logpx.tables.reading.csv_diagnosis import diagnose, unterminated_quote
from logpx.tables.reading.csv_header import CsvHeader, open_rows, read_header
from logpx.tables.reading.missing_words import USUAL_WORDS
from logpx.tables.reading.part import Part

__all__ = ["CsvPart"]

_BLOCK = 1 << 20
_LARGEST_BLOCK = 1 << 30
_ROWS_PER_BLOCK = 64
# Seconds at the end of the process; a block that is read ahead takes some milliseconds.
_LONGEST_WAIT = 2.0


class _Quotes:
    """The number of quotes that were read: Arrow reads an unclosed quote as one long cell."""

    count = 0


class _QuoteCounter:
    """A stream that counts its quotes, for Arrow alone, whose threads read ahead."""

    closed = False

    def __init__(self, file: str, header: CsvHeader, quotes: _Quotes) -> None:
        self._stream, self._quotes = open_rows(file, header), quotes
        _LENT.add(self)

    def read(self, size: int) -> bytes:
        content: bytes = self._stream.read(size)
        self._quotes.count += content.count(b'"')
        return content

    def close(self) -> None:
        self.closed = True
        self._stream.close()


_LENT: weakref.WeakSet[_QuoteCounter] = weakref.WeakSet()


@atexit.register
def _wait_for_arrow() -> None:
    """Wait until Arrow has let go of streams: a thread that reads ahead as Python ends aborts the process."""
    end = time.monotonic() + _LONGEST_WAIT
    while _LENT and time.monotonic() < end:
        time.sleep(0.001)


class CsvPart(Part):
    """A file of delimited text with a header, read block by block; cells are text as written.

    Blank lines are skipped, but in a table of one column a blank line is a missing cell.

    Parameters
    ----------
    file : str
        Its path; a file whose name ends in .gz, .bz2, .zst, .xz or .lz4 is decompressed.

    Raises
    ------
    DataError
        If the file is empty, has no proper header line, or is not UTF-8 text.
    """

    in_text_file = True

    def __init__(self, file: str) -> None:
        self.file: str = file
        self.header = read_header(file)
        self.notes = self.header.notes
        self.delimiter: str = self.header.delimiter
        # Arrow needs every row to fit into a block, and a row is rarely much longer than its header.
        self._block = min(max(_BLOCK, _ROWS_PER_BLOCK * self.header.length), _LARGEST_BLOCK)
        self.stored = pa.schema([(name, pa.string()) for name in self.header.names])

    def count_rows(self) -> int:
        """Return the number of rows, by reading the first column."""
        return sum(piece.num_rows for piece in self.read(self.stored.names[:1], rows=0))

    def read(self, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, a block at a time, whatever ``rows`` is."""
        quotes = _Quotes()
        try:
            with self._open(quotes, names) as reader:
                for piece in reader:
                    # A header alone comes as one empty piece.
                    if piece.num_rows:
                        yield piece.select(list(names))
            if quotes.count % 2 and (error := unterminated_quote(self.file, self.header)):
                raise error
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise diagnose(self.file, self.header, error) from None

    def _open(self, quotes: _Quotes, names: Sequence[str]) -> pacsv.CSVStreamingReader:
        # Cells of columns without a name are an error.
        unnamed = {f"\0{index}": pa.null() for index in range(self.header.unnamed)}
        return pacsv.open_csv(
            _QuoteCounter(self.file, self.header, quotes),
            read_options=pacsv.ReadOptions(
                block_size=self._block, use_threads=False, column_names=[*self.header.names, *unnamed]
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self.header.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=self.header.fields > 1,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()) | unnamed,
                include_columns=[*names, *unnamed],
                null_values=["", *USUAL_WORDS],
                strings_can_be_null=False,
            ),
        )
