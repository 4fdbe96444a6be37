"""Files that Arrow reads as tables, batch by batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

import pyarrow as pa

from logpx.errors import DataError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.names import refuse_repeated_names
from logpx.tables.reading.part import Part

__all__ = ["ArrowPart"]


class ArrowPart(Part):
    """A file of columns whose types it declares itself.

    Parameters
    ----------
    file : str
        Its path.

    Attributes
    ----------
    format : str
        What errors call the format.

    Raises
    ------
    DataError
        If the file is not of this format, is damaged, has no columns, or has two columns with the same name.
    """

    format: str

    def __init__(self, file: str) -> None:
        self.file: str = file
        try:
            schema, self._rows = self._inspected()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None
        refuse_repeated_names(schema.names, file)
        if not schema.names:
            raise DataError("the file has no columns", file=file, fix="write the table again")
        self.types = {field.name: ColumnType.of(field.type) for field in schema}

    @abstractmethod
    def _inspected(self) -> tuple[pa.Schema, int]:
        """Return the columns of the file and its number of rows."""

    @abstractmethod
    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they are stored."""

    def count_rows(self) -> int:
        """Return the number of rows."""
        return self._rows

    def read(self, types: Mapping[str, ColumnType], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the named columns, at most ``rows`` rows at a time."""
        batches = self._batches()
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                # Arrow does not check the bytes of text.
                batch.validate(full=True)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise self._damaged(error) from None
            for start in range(0, batch.num_rows, rows):
                piece = batch.slice(start, rows)
                arrays = [kind.read(piece.column(name)) for name, kind in types.items()]
                yield pa.record_batch(arrays, names=list(types))

    def _damaged(self, error: Exception) -> DataError:
        if isinstance(error, DataError):
            return error
        first_line = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return DataError(
            f"not a readable {self.format} file: {first_line}",
            file=self.file,
            fix="write or download the file again",
        )
