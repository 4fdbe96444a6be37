"""A Parquet file as a part of a table."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from logpx.errors import DataError
from logpx.tables.reading.names import refuse_repeated_names
from logpx.tables.reading.part import Part

__all__ = ["ParquetPart"]

# Column chunks are read through a buffer of this many bytes, so that even a file with a single row group is
# read in constant memory.
_BUFFER = 1 << 20


class ParquetPart(Part):
    """A Parquet file, read a few rows at a time.

    Parameters
    ----------
    file : str
        Its path.

    Raises
    ------
    DataError
        If it is not a Parquet file, is damaged, or has two columns with the same name.
    """

    def __init__(self, file: str) -> None:
        self.file: str = file
        self._groups: list[int] | None = None
        try:
            with self._open() as parquet:
                schema = parquet.schema_arrow
                names = list(schema.names)
                self._rows = int(parquet.metadata.num_rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise error if isinstance(error, DataError) else _damaged(file, error) from None
        refuse_repeated_names(names, file)
        if not names:
            raise DataError("the file has no columns", file=file, fix="write the table again")
        self.stored = schema

    def count_rows(self) -> int:
        """Return the number of rows according to the file's metadata."""
        return self._rows

    def divided(self) -> list[ParquetPart]:
        """Return a part for each row group that has rows."""
        with self._open() as parquet:
            metadata = parquet.metadata
            rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return [self._group(group, rows) for group, count in enumerate(rows) if count]

    def _group(self, group: int, rows: Sequence[int]) -> ParquetPart:
        part = copy.copy(self)
        part._groups, part._rows, part.rows_before = [group], rows[group], sum(rows[:group])
        return part

    def read(self, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most ``rows`` rows at a time."""
        with self._open() as parquet:
            pieces = parquet.iter_batches(
                batch_size=rows, row_groups=self._groups, columns=list(names), use_threads=False
            )
            while True:
                try:
                    piece = next(pieces, None)
                    if piece is None:
                        return
                    arrays = [piece.column(name) for name in names]
                    for array in arrays:
                        # Arrow does not check the bytes of text.
                        array.validate(full=True)
                except (pa.ArrowException, OSError, ValueError, KeyError) as error:
                    raise _damaged(self.file, error) from None
                yield pa.record_batch(arrays, names=list(names))

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.file, buffer_size=_BUFFER, pre_buffer=False, memory_map=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(self.file, error) from None


def _damaged(file: str, error: Exception) -> DataError:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"not a readable Parquet file: {first_line}",
        file=file,
        fix="write the file again; if it is another format, give it that format's extension",
    )
