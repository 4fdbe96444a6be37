"""A function from record batches to record batches, whose output is known before any row is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from logpx.engines.model_source import ModelSource
from logpx.errors import DataError, LogpxError, UsageError
from logpx.representations import Shown
from logpx.scoring import KeyedRows, RowIdentity, RowsByContent
from logpx.scoring.row_keys import keys_of_cells
from logpx.suggestions import suggestion
from logpx.tables import Schema, Table, open_table
from logpx.tables.arrow_columns import written_type
from logpx.tables.columns.supports import Supports

__all__ = ["BatchFunction", "fields_of"]


class BatchFunction(Shown, ABC):
    """A pure function of Arrow record batches: the same rows give the same answers, however they are cut.

    It can be pickled, and called by several threads at once. Each process loads the model once.

    Attributes
    ----------
    source : ModelSource
        The model.
    schema : pyarrow.Schema
        The names and types of the columns of the result.
    """

    source: ModelSource
    schema: pa.Schema

    def __init__(self, source: ModelSource, keep: Sequence[str] | pa.Schema, id: Sequence[str] | str) -> None:
        self.source = source
        self._kept = fields_of(keep, source.model().schema)
        self._id = (id,) if isinstance(id, str) else tuple(id)

    def _shown_parts(self) -> Mapping[str, object]:
        return {"schema": self.schema.names}

    @property
    def columns_beside(self) -> list[str]:
        """The columns that are passed on, or identify rows, and are not modelled."""
        modelled = self.source.model().schema.modelled_names
        return [name for name in dict.fromkeys([*self._kept.names, *self._id]) if name not in modelled]

    def __call__(self, batches: Any) -> Any:
        """Return the answers for some rows.

        Parameters
        ----------
        batches
            An iterable of record batches, or anything with an Arrow stream, such as a RecordBatchReader or a
            Polars frame; or one record batch or table.

        Returns
        -------
        iterator of pyarrow.RecordBatch
            One for each batch; for one record batch or table, one of the same.

        Raises
        ------
        DataError
            If a column is missing, unknown, or of another type, or a cell cannot be read. The row is counted
            from the first of the batches.
        """
        if isinstance(batches, pa.RecordBatch):
            return self._located(batches, 0)
        if isinstance(batches, pa.Table):
            return pa.Table.from_batches(list(self._stream(batches.to_batches())), schema=self.schema)
        if hasattr(batches, "__arrow_c_stream__"):
            batches = pa.RecordBatchReader.from_stream(batches)
        return self._stream(batches)

    def reader(self, batches: Any) -> pa.RecordBatchReader:
        """Return the answers as a stream of their own, which other libraries read batch by batch.

        Parameters
        ----------
        batches
            As for a call.
        """
        if isinstance(batches, pa.RecordBatch):
            batches = [batches]
        if isinstance(batches, pa.Table):
            batches = batches.to_batches()
        return pa.RecordBatchReader.from_batches(self.schema, self(batches))

    def _stream(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in batches:
            yield self._located(batch, start)
            start += batch.num_rows

    def _located(self, batch: pa.RecordBatch, start: int) -> pa.RecordBatch:
        if not batch.num_rows:
            return _empty(self.schema)
        try:
            return self._answered(batch)
        except LogpxError as error:
            error.row = None if error.row is None else error.row + start
            raise

    @abstractmethod
    def _answered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the answers for the rows of a batch, of which there are some."""

    def _table(self, batch: pa.RecordBatch) -> Table:
        """Return the columns of a batch as a table, without those that are only kept or only name rows."""
        known = set(self.source.model().schema.names)
        extra = {*self._kept.names, *self._id} - known
        names = [name for name in batch.schema.names if name not in extra]
        return open_table(pa.Table.from_batches([batch]).select(names))

    def _identity(self, batch: pa.RecordBatch) -> RowIdentity:
        if not self._id:
            return RowsByContent()
        return KeyedRows(keys_of_cells([_column(batch, name) for name in self._id]))

    def _kept_cells(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        return {field.name: _as(_column(batch, field.name), field) for field in self._kept}


def fields_of(keep: Sequence[str] | pa.Schema, schema: Schema) -> pa.Schema:
    """Return names and types of columns that are passed on.

    Parameters
    ----------
    keep
        Names of columns of the table that a model was fitted to, or names and types of any.
    schema
        That of the model.

    Raises
    ------
    UsageError
        If the type of a column is not known.
    """
    if isinstance(keep, pa.Schema):
        return pa.schema([(field.name, plain_type(field.type)) for field in keep])
    names = [keep] if isinstance(keep, str) else list(keep)
    columns = {column.name: column for column in schema.columns}
    pairs = zip(schema.modelled, Supports.of(schema.modelled).supports, strict=True)
    written = {column.name: written_type(column, support) for column, support in pairs}
    fields = []
    for name in names:
        own = columns[name].stored_type if name in columns else None
        form = written.get(name, own)
        if form is None:
            known = "" if name in columns else f"; or {suggestion(name, schema.names)}"
            raise UsageError(
                "the type of a column to keep is not known from the model",
                column=name,
                fix=f"give it: keep=pyarrow.schema([({name!r}, pyarrow.string())]){known}",
            )
        fields.append((name, plain_type(form)))
    return pa.schema(fields)


def plain_type(form: pa.DataType) -> pa.DataType:
    """Return the type of the cells of a column: that of the values of a dictionary."""
    return form.value_type if pa.types.is_dictionary(form) else form


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        raise DataError("the batch lacks this column", column=name, fix=suggestion(name, batch.schema.names))
    return batch.column(name)


def _as(cells: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return cells.cast(field.type)
    except pa.ArrowException as error:
        raise DataError(
            f"cells stored as {cells.type} do not fit {field.type}: {error}",
            column=field.name,
            fix="declare the column with the type that it has",
        ) from None


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, form) for form in schema.types], schema=schema)
