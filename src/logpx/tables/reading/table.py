"""A table as a stream of batches: any number of parts (files or frames) with the same columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx.errors import DataError, UsageError
from logpx.representations import Shown
from logpx.suggestions import suggestion
from logpx.tables.reading.cell_text import text_of
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.missing_words import missing_words_of
from logpx.tables.reading.notation import LabelNotation
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.part import Part
from logpx.tables.reading.reading import Reading, recognised_readings
from logpx.tables.reading.text_form import TextForm

__all__ = ["Matrices", "Table", "TableBatch"]

_SHOWN = 40


@dataclass(frozen=True, kw_only=True, repr=False)
class TableBatch(Shown):
    """Consecutive rows of a table.

    Attributes
    ----------
    stored : pyarrow.RecordBatch
        The cells as they are stored; those of text files as text.
    start : int
        The number of rows of the table before this batch.
    origins : tuple of (int, str or None, int)
        For each stretch of rows from one part: its first row in the batch, the file, and the number of rows
        of that file before it.
    readings : dict of str to Reading
        How each column is read.
    in_text_file : bool
        Whether the cells come from a text file.
    mixed : frozenset of str
        Columns that are text because their cells are of several types.
    """

    stored: pa.RecordBatch
    start: int
    origins: tuple[tuple[int, str | None, int], ...]
    readings: Mapping[str, Reading]
    in_text_file: bool = False
    mixed: frozenset[str] = frozenset()

    def undeclared(self, name: str) -> bool:
        """Whether the text of a column may hold numbers, as in text files."""
        return self.in_text_file or name in self.mixed

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.stored.num_rows)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.stored.schema.names)

    @cached_property
    def columns(self) -> pa.RecordBatch:
        """The cells as they are read: numbers as float64, everything else as text."""
        return pa.record_batch([self.read(name) for name in self.names], names=self.names)

    def read(self, name: str, reading: Reading | None = None) -> pa.Array:
        """Return a column as it is read, with missing cells as null: numbers as float64, labels as text.

        Raises
        ------
        DataError
            If a cell cannot be read; names file, row and column.
        """
        reading = reading or self.readings[name]
        cells = self.stored.column(name)
        values, unread = reading.read(cells, in_text_file=self.undeclared(name))
        if unread.any():
            row = int(np.flatnonzero(unread)[0])
            file, row_in_file = self.locate(row)
            cell = str(text_of(cells.slice(row, 1))[0])
            shown = cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…"
            raise DataError(
                f"text {shown!r} where {reading.notation.expected} was expected",
                file=file,
                row=row_in_file,
                column=name,
                fix=f"correct the cell; if it means a missing cell, fit with --missing '{name}:{shown}'",
            )
        return values

    def numbers(self, name: str, reading: Reading | None = None) -> npt.NDArray[np.float64]:
        """Return a column of numbers as float64, shape (rows,), missing cells as NaN.

        Raises
        ------
        DataError
            If a cell is no number; names file, row and column.
        """
        values: npt.NDArray[np.float64] = self.read(name, reading).to_numpy(zero_copy_only=False)
        return values

    def locate(self, row: int) -> tuple[str | None, int]:
        """Return the file of a row of this batch (counted from 0) and its row there (counted from 1)."""
        first, file, before = next(origin for origin in reversed(self.origins) if origin[0] <= row)
        return file, before + row - first + 1


class Table(Shown):
    """A table that can be read in batches any number of times, in constant memory.

    Parameters
    ----------
    name : str
        The table's name in messages.
    parts : sequence of Part
        Its files or frames, in order. They must have the same columns, in the order of the first part.
    missing : optional
        The words that mean a missing cell, in addition to the usual ones; see `open_table`.
    decimal : {".", ","}, optional
        The decimal mark of numbers written as text; by default it is recognised.

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
        self, name: str, parts: Sequence[Part], *, missing: Any = None, decimal: str | None = None
    ) -> None:
        if decimal not in (None, ".", ","):
            raise UsageError(f"the decimal mark is {decimal!r}", fix="give a point or a comma")
        self.name = name
        self.parts = tuple(parts)
        self.rows_before = 0
        self.stored = _agreed_schema(self.parts)
        self.in_text_file = all(part.in_text_file for part in self.parts)
        self.mixed = frozenset(name for part in self.parts for name in part.mixed)
        self.missing = missing_words_of(missing, self.stored.names)
        self.readings = _readings(self, decimal)

    def _shown_parts(self) -> Mapping[str, object]:
        return {"name": self.name, "columns": self.names, "parts": len(self.parts)}

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.stored.names)

    def undeclared(self, name: str) -> bool:
        """Whether the text of a column may hold numbers, as in text files."""
        return self.in_text_file or name in self.mixed

    @property
    def types(self) -> dict[str, ColumnType]:
        """What every column holds."""
        return {field.name: self.readings[field.name].notation.type(field.type) for field in self.stored}

    @property
    def file(self) -> str | None:
        """The name for messages if the table is stored in files; else None."""
        return None if self.parts[0].file is None else self.name

    @property
    def notes(self) -> list[str]:
        """What was skipped when the files were read, each once."""
        return list(dict.fromkeys(note for part in self.parts for note in part.notes))

    @property
    def text_form(self) -> TextForm | None:
        """How the files of delimited text are written; None for other parts, or for files that differ."""
        delimiters = {part.delimiter for part in self.parts}
        delimiter = delimiters.pop() if len(delimiters) == 1 else None
        if delimiter is None or not self.in_text_file:
            return None
        notations = [reading.notation for reading in self.readings.values()]
        commas = any(isinstance(one, NumberNotation) and one.decimal == "," for one in notations)
        # Text between single spaces could not have any in its cells.
        return TextForm("," if delimiter == " " else delimiter, "," if commas else ".")

    def select(self, names: Sequence[str]) -> Table:
        """Return the same table with only these columns, in this order.

        Raises
        ------
        UsageError
            If a column does not exist; suggests the nearest name.
        """
        for name in names:
            if name not in self.readings:
                raise UsageError(
                    "the table has no such column",
                    file=self.file,
                    column=name,
                    fix=suggestion(name, self.names),
                )
        return self._with(
            pa.schema([self.stored.field(name) for name in names], self.stored.metadata),
            {name: self.readings[name] for name in names},
        )

    def without(self, names: Collection[str]) -> Table:
        """Return the same table without these columns, of which some may not exist."""
        return self.select([name for name in self.names if name not in names])

    def read_as(self, readings: Mapping[str, Reading]) -> Table:
        """Return the same table with these readings of its columns.

        Raises
        ------
        DataError
            If a column is stored as something else; names the column.
        """
        for name, reading in readings.items():
            stored = self.stored.field(name).type
            if not reading.notation.takes(stored, in_text_file=self.undeclared(name)):
                wanted = (
                    "numbers were"
                    if isinstance(reading.notation, NumberNotation)
                    else (f"{reading.notation.expected} was")
                )
                raise DataError(
                    f"{wanted} expected, but the column holds {ColumnType.of(stored)} ({stored})",
                    file=self.file,
                    column=name,
                    fix="convert the column, or fit a model without it",
                )
        return self._with(self.stored, {**self.readings, **readings})

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
        readings = {}
        for name, reading in self.readings.items():
            if name in but:
                readings[name] = Reading(notation=LabelNotation(), missing=reading.missing)
            elif not isinstance(reading.notation, NumberNotation):
                readings[name] = Reading(notation=NumberNotation(), missing=reading.missing)
        return self.read_as(readings)

    def _with(self, stored: pa.Schema, readings: Mapping[str, Reading]) -> Self:
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__ | {"stored": stored, "readings": dict(readings)}
        return other

    def count_rows(self) -> int:
        """Return the number of rows: from metadata for Parquet, by reading one column for CSV."""
        return sum(part.count_rows() for part in self.parts)

    def divided(self) -> list[Self]:
        """Return tables of some of the rows that can be read alone, in order: files, or row groups of them.

        Their batches know of the rows before. Files without rows are left out.
        """
        found, first = [], 0
        for part in (small for large in self.parts for small in large.divided()):
            rows = part.count_rows()
            if rows:
                other = self._with(self.stored, self.readings)
                other.parts, other.rows_before = (part,), first
                found.append(other)
            first += rows
        return found

    def batches(self, rows: int = 65536) -> Iterator[TableBatch]:
        """Yield all rows in order, exactly ``rows`` at a time; only the last batch may be shorter.

        Raises
        ------
        DataError
            If a file cannot be read, naming file, row and column; or if there are no rows.
        """
        if rows < 1:
            raise UsageError(f"batches of {rows} rows", fix="ask for at least one row")
        start = self.rows_before
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
                    yield self._batch(pending, start, origins)
                    start += rows
                    pending, origins, waiting = [], [], 0
        if pending:
            yield self._batch(pending, start, origins)
        elif start == self.rows_before:
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
            before = part.rows_before
            for piece in part.read(self.names, rows):
                yield part.file, before, self._promoted(piece, part)
                before += piece.num_rows

    def _promoted(self, piece: pa.RecordBatch, part: Part) -> pa.RecordBatch:
        """Return cells in the type that all parts share."""
        if piece.schema.types == self.stored.types:
            return piece
        arrays = []
        for field, cells in zip(self.stored, piece.columns, strict=True):
            try:
                arrays.append(cells if cells.type == field.type else cells.cast(field.type))
            except pa.ArrowException as error:
                raise DataError(
                    f"cells stored as {cells.type} do not fit {field.type}, as in other files: {error}",
                    file=part.file,
                    column=field.name,
                    fix="store the column with one type in all files",
                ) from None
        return pa.record_batch(arrays, names=self.names)

    def _batch(
        self, pieces: list[pa.RecordBatch], start: int, origins: list[tuple[int, str | None, int]]
    ) -> TableBatch:
        return TableBatch(
            stored=_joined(pieces),
            start=start,
            origins=tuple(origins),
            readings=self.readings,
            in_text_file=self.in_text_file,
            mixed=self.mixed,
        )


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
    if len(pieces) == 1:
        return pieces[0]
    # Every piece has dictionaries of its own.
    table = pa.Table.from_batches(pieces).unify_dictionaries()
    arrays = [pa.concat_arrays(column.chunks) for column in table.columns]
    return pa.record_batch(arrays, names=table.column_names)


def _agreed_schema(parts: Sequence[Part]) -> pa.Schema:
    first = parts[0]
    fields = {field.name: field for field in first.stored}
    for part in parts[1:]:
        for here, there in ((first, part), (part, first)):
            present = set(there.stored.names)
            for name in here.stored.names:
                if name not in present:
                    raise DataError(
                        f"this column is in {here.file} but not here",
                        file=there.file,
                        column=name,
                        fix="give all files the same columns, or open fewer of them",
                    )
        for name, field in fields.items():
            fields[name] = _shared(field, part.stored.field(name), first, part)
    return pa.schema(list(fields.values()), first.stored.metadata)


def _shared(here: pa.Field, there: pa.Field, first: Part, part: Part) -> pa.Field:
    types = [ColumnType.of(field.type) for field in (here, there)]
    both = [pa.schema([field.remove_metadata()]) for field in (here, there)]
    if here.type == there.type:
        return here
    if types[0] is types[1] or any(pa.types.is_null(field.type) for field in (here, there)):
        try:
            return pa.unify_schemas(both, promote_options="permissive").field(0)
        except pa.ArrowException:
            pass
    raise DataError(
        f"this column holds {types[1]} ({there.type}) here, but {types[0]} ({here.type}) in {first.file}",
        file=part.file,
        column=here.name,
        fix="store the column with one type in all files",
    )


def _readings(table: Table, decimal: str | None) -> dict[str, Reading]:
    """Return how every column is read, by the first part in which it has a value."""
    readings: dict[str, Reading] = {}
    for part in table.parts:
        found = recognised_readings(
            part.head(),
            table.missing,
            in_text_file=part.in_text_file,
            delimiter=part.delimiter,
            decimal=decimal,
        )
        for name, reading in found.items():
            if name not in readings or not readings[name].known:
                readings[name] = reading
        if all(reading.known for reading in readings.values()):
            break
    return {name: readings[name] for name in table.names}
