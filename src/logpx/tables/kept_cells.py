"""A table's own cells on their way through: in value, text and type as they were read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logpx.errors import DataError, UsageError
from logpx.tables.arrow_columns import written_type
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.reading.cell_text import text_of, workable
from logpx.tables.reading.notation import with_nulls
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.matrix import whole_table
from logpx.tables.schema.schema import Column, Schema

__all__ = ["KeptCells", "replaced"]


class KeptCells:
    """The cells of a table, as they are written beside or around what a model adds.

    Cells that are stored with a type keep it. Those of a text file stay the text that was read if they are
    written as text again; else columns of plain numbers become numbers, and missing words null.

    Parameters
    ----------
    table : Table
        The table.
    schema : Schema
        What is known about its columns.
    supports : Supports
        Bounds and grids of the modelled columns.
    as_text : bool
        Whether the cells of a text file are written as text again.
    names : sequence of str
        The columns to pass on; none for all columns of the table.
    """

    def __init__(
        self,
        table: Table,
        schema: Schema,
        supports: Supports,
        *,
        as_text: bool,
        names: Sequence[str] = (),
    ) -> None:
        own = table.select(list(names)) if names else table
        present = set(own.names)
        columns = [column for column in schema.columns if column.name in present]
        self.table = whole_table(own, Schema(columns=columns))
        self._columns = {column.name: column for column in columns}
        pairs = zip(schema.modelled_names, supports.supports, strict=True)
        known = {name: support for name, support in pairs if name in present}
        self.retyped = {
            name: self._retyped(self._columns[name], known.get(name))
            for name in (self.table.names if self.table.in_text_file and not as_text else ())
            if name in self._columns
        }
        # Cells without any value have no type of their own, and take that of the model.
        self.retyped |= {
            name: written_type(self._columns[name], support)
            for name, support in known.items()
            if pa.types.is_null(self.table.stored.field(name).type)
        }

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the cells: those of the table, unless text becomes numbers."""
        fields = [
            pa.field(field.name, self.retyped[field.name]) if field.name in self.retyped else field
            for field in self.table.stored
        ]
        return pa.schema(fields, self.table.stored.metadata)

    def beside(self, others: pa.Schema) -> pa.Schema:
        """Return the names and types of the cells, and then those of other columns.

        Raises
        ------
        UsageError
            If the table has a column with the name of one of them.
        """
        for name in others.names:
            if name in self.schema.names:
                raise UsageError(
                    "the table already has a column with the name of one that is written beside its own",
                    column=name,
                    fix="rename the column",
                )
        return pa.schema([*self.schema, *others], self.schema.metadata)

    def batches(self, rows: int = 65536) -> Iterator[dict[str, pa.Array]]:
        """Yield the cells of so many rows at a time, by column."""
        for batch in self.table.batches(rows):
            yield self.cells(batch)

    def cells(self, batch: TableBatch) -> dict[str, pa.Array]:
        """Return the cells of a batch by column."""
        cells = dict(zip(batch.names, batch.stored.columns, strict=True))
        for name, form in self.retyped.items():
            if pa.types.is_null(cells[name].type):
                cells[name] = pa.nulls(batch.rows, form)
                continue
            reading = batch.readings[name]
            present = reading.present(cells[name], in_text_file=True)
            if form == pa.string():
                cells[name] = with_nulls(cells[name], ~present)
            else:
                batch.read(name)  # For the error that names the cell that is no number.
                text = with_nulls(text_of(cells[name]), ~present)
                cells[name] = _numbers(text, form, name, batch)
        return cells

    def _retyped(self, column: Column, support: Support | None) -> pa.DataType:
        notation = self.table.readings[column.name].notation
        plain = isinstance(notation, NumberNotation) and notation.plain and not notation.width
        if support is not None and column.levels is None:
            return written_type(column.model_copy(update={"stored": None}), support)
        if plain and column.kind is Kind.IDENTIFIER and column.minimum is not None:
            return pa.int64()
        if plain and column.kind is Kind.CONSTANT and column.minimum is not None:
            return pa.int64() if column.minimum.is_integer() else pa.float64()
        return pa.string()


def _numbers(text: pa.Array, form: pa.DataType, name: str, batch: TableBatch) -> pa.Array:
    try:
        return pc.cast(text, form)
    except pa.ArrowInvalid:
        pass
    values = NumberNotation().read(text)
    if not pa.types.is_integer(form):
        return pc.cast(values, form)
    numbers = values.to_numpy(zero_copy_only=False)
    strange = np.flatnonzero(~np.isnan(numbers) & (numbers != np.floor(numbers)))
    if not len(strange):
        return pc.cast(values, form, safe=False)
    file, row = batch.locate(int(strange[0]))
    raise DataError(
        f"the value {text[int(strange[0])].as_py()} in a column of whole numbers",
        file=file,
        row=row,
        column=name,
        fix="correct the cell, or fit a model with the column's kind as continuous",
    )


def replaced(cells: pa.Array, gone: npt.NDArray[np.bool_], others: pa.Array) -> pa.Array:
    """Return cells with the marked ones replaced by others, in order."""
    if pa.types.is_dictionary(cells.type) and not cells.dictionary.equals(others.dictionary):
        both = pa.chunked_array([cells, others]).unify_dictionaries().chunks
    else:
        both = [workable(cells), workable(others)]
    places = np.arange(len(cells))
    places[gone] = len(cells) + np.arange(len(others))
    return pa.concat_arrays(both).take(pa.array(places)).cast(cells.type)
