"""A table as a stream of batches: any number of parts (files or frames) with the same columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx.errors import DataError, UsageError
from logpx.suggestions import suggestion
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.part import Part

__all__ = ["Matrices", "Table", "TableBatch"]


@dataclass(frozen=True)
class TableBatch:
    """Consecutive rows of a table.

    Attributes
    ----------
    columns : pyarrow.RecordBatch
        The cells: numbers as float64, everything else as text.
    start : int
        The number of rows of the table before this batch.
    origins : tuple of (int, str or None, int)
        For each stretch of rows from one part: its first row in the batch, the file, and the number of rows
        of that file before it.
    """

    columns: pa.RecordBatch
    start: int
    origins: tuple[tuple[int, str | None, int], ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.columns.num_rows)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns.schema.names)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of numbers as float64, shape (rows,), missing cells as NaN."""
        values: npt.NDArray[np.float64] = self.columns.column(name).to_numpy(zero_copy_only=False)
        return values

    def locate(self, row: int) -> tuple[str | None, int]:
        """Return the file of a row of this batch (counted from 0) and its row there (counted from 1)."""
        first, file, before = next(origin for origin in reversed(self.origins) if origin[0] <= row)
        return file, before + row - first + 1


class Table:
    """A table that can be read in batches any number of times, in constant memory.

    Parameters
    ----------
    name : str
        The table's name in messages.
    parts : sequence of Part
        Its files or frames, in order. They must have the same columns, in the order of the first part.

    Raises
    ------
    DataError
        If the parts disagree in columns or in types; names the file and the column.

    Examples
    --------
    >>> from logpx.tables import open_table
    >>> table = open_table({"a": [1, 2, 3], "b": [0.5, None, 2.5]})
    >>> table.names, [batch.rows for batch in table.batches(rows=2)]
    (['a', 'b'], [2, 1])
    """

    def __init__(
        self, name: str, parts: Sequence[Part], types: Mapping[str, ColumnType] | None = None
    ) -> None:
        self.name = name
        self.parts = tuple(parts)
        self.types: dict[str, ColumnType] = dict(_agreed_types(self.parts) if types is None else types)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.types)

    @property
    def file(self) -> str | None:
        """The name for messages if the table is stored in files; else None."""
        return None if self.parts[0].file is None else self.name

    @property
    def notes(self) -> list[str]:
        """What was skipped when the files were read, each once."""
        return list(dict.fromkeys(note for part in self.parts for note in part.notes))

    def select(self, names: Sequence[str]) -> Table:
        """Return the same table with only these columns, in this order.

        Raises
        ------
        UsageError
            If a column does not exist; suggests the nearest name.
        """
        for name in names:
            if name not in self.types:
                raise UsageError(
                    "the table has no such column",
                    file=self.file,
                    column=name,
                    fix=suggestion(name, self.names),
                )
        return Table(self.name, self.parts, {name: self.types[name] for name in names})

    def as_numbers(self, but: Collection[str] = ()) -> Table:
        """Return the same table with every column read as numbers, except those that are labels.

        Text in such a column of a text file is then an error of `batches` that names file, row and column.

        Parameters
        ----------
        but : collection of str
            The columns to read as text.

        Raises
        ------
        DataError
            If a column is stored as something else; names the column.
        """
        for name, kind in self.types.items():
            if kind is not ColumnType.NUMBER and name not in but and not self.convertible:
                raise DataError(
                    f"numbers were expected, but the column holds {kind}",
                    file=self.file,
                    column=name,
                    fix="convert the column to numbers",
                )
        wanted = {name: ColumnType.TEXT if name in but else ColumnType.NUMBER for name in self.types}
        return Table(self.name, self.parts, wanted)

    @property
    def convertible(self) -> bool:
        """Whether the columns can be read with types other than their own."""
        return all(part.convertible for part in self.parts)

    def count_rows(self) -> int:
        """Return the number of rows: from metadata for Parquet, by reading one column for CSV."""
        return sum(part.count_rows() for part in self.parts)

    def batches(self, rows: int = 65536) -> Iterator[TableBatch]:
        """Yield all rows in order, exactly ``rows`` at a time; only the last batch may be shorter.

        Raises
        ------
        DataError
            If a file cannot be read, naming file, row and column; or if there are no rows.
        """
        if rows < 1:
            raise UsageError(f"batches of {rows} rows", fix="ask for at least one row")
        start = 0
        pending: list[pa.RecordBatch] = []
        origins: list[tuple[int, str | None, int]] = []
        waiting = 0
        for file, before, piece in self._pieces(rows):
            taken = 0
            while taken < piece.num_rows:
                slice_ = piece.slice(taken, rows - waiting)
                origins.append((waiting, file, before + taken))
                pending.append(slice_)
                taken += slice_.num_rows
                waiting += slice_.num_rows
                if waiting == rows:
                    yield TableBatch(_joined(pending), start, tuple(origins))
                    start += rows
                    pending, origins, waiting = [], [], 0
        if pending:
            yield TableBatch(_joined(pending), start, tuple(origins))
        elif start == 0:
            raise DataError(
                "the table has no rows", file=self.file, fix="check that the file was written to its end"
            )

    def matrices(self, rows: int = 65536) -> Matrices:
        """Return the rows as matrices of numbers that can be iterated over any number of times.

        Models of rows of numbers are fitted to these if the table is larger than memory.
        """
        return Matrices(self.as_numbers(), rows)

    def _pieces(self, rows: int) -> Iterator[tuple[str | None, int, pa.RecordBatch]]:
        for part in self.parts:
            before = 0
            for piece in part.read(self.types, rows):
                yield part.file, before, piece
                before += piece.num_rows


class Matrices:
    """All rows of a table of numbers, some at a time; every iteration reads them anew.

    Parameters
    ----------
    table : Table
        Columns of numbers.
    rows : int
        Rows per matrix.

    Examples
    --------
    >>> from logpx.tables import open_table
    >>> [matrix.shape for matrix in open_table({"a": [1, 2, 3], "b": [0.5, None, 2.5]}).matrices(rows=2)]
    [(2, 2), (1, 2)]
    """

    def __init__(self, table: Table, rows: int) -> None:
        self.table, self.rows = table, rows

    def __iter__(self) -> Iterator[npt.NDArray[np.float64]]:
        """Yield arrays of shape (rows, columns), NaN where a cell is missing."""
        for batch in self.table.batches(self.rows):
            yield np.column_stack([batch.numbers(name) for name in batch.names])


def _joined(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)


def _agreed_types(parts: Sequence[Part]) -> dict[str, ColumnType]:
    first = parts[0]
    for part in parts[1:]:
        for here, there in ((first, part), (part, first)):
            for name in here.types:
                if name not in there.types:
                    raise DataError(
                        f"this column is in {here.file} but not here",
                        file=there.file,
                        column=name,
                        fix="give all files the same columns, or open fewer of them",
                    )
    types: dict[str, ColumnType] = {}
    for name in first.types:
        known = [part.types[name] for part in parts if part.types[name] is not None]
        types[name] = known[0] if known and known[0] is not None else ColumnType.NUMBER
        for part in parts:
            if not part.convertible and part.types[name] not in (None, types[name]):
                raise DataError(
                    f"this column holds {part.types[name]} here, but {types[name]} in {first.file}",
                    file=part.file,
                    column=name,
                    fix="store the column with one type in all files",
                )
    return types
