"""A table with its missing cells filled in and all other cells as they were read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from logpx.distributions import Distribution
from logpx.errors import DataError, UsageError
from logpx.tables.arrow_columns import arrow_array, arrow_schema
from logpx.tables.columns.supports import Supports
from logpx.tables.completion import completed_rows, within_observed
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.matrix import to_matrix, whole_table
from logpx.tables.schema.schema import Column, Schema

__all__ = ["DRAW", "Filling"]

DRAW = "draw"
_BATCH_ROWS = 16384


class Filling:
    """Fills in the missing cells of tables.

    Parameters
    ----------
    schema
        The columns.
    supports
        Bounds and grids of the modelled columns.
    density
        The distribution of dequantised rows.
    """

    def __init__(self, schema: Schema, supports: Supports, density: Distribution) -> None:
        self._schema, self._supports, self._density = schema, supports, density
        self._types = arrow_schema(schema, supports).types

    def schema(self, table: Table, draws: int | None) -> pa.Schema:
        """Return the names and types of a completed table: those of the table, and the number of the draw.

        Raises
        ------
        UsageError
            If the table has a column with the name of the latter.
        """
        known = dict(zip(self._schema.modelled_names, self._types, strict=True))
        fields = [(name, known.get(name, kind.arrow)) for name, kind in table.types.items()]
        if draws is None:
            return pa.schema(fields)
        if DRAW in table.types:
            raise UsageError(
                "the table already has a column with the name that numbers the draws",
                column=DRAW,
                fix="rename the column",
            )
        return pa.schema([(DRAW, pa.int64()), *fields])

    def batches(self, table: Table, draws: int | None, seed: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a completed table, or of several drawn ones, one after another.

        Raises
        ------
        UsageError
            If a cell is missing, and the density cannot fill it in.
        """
        form = self.schema(table, draws)
        read = whole_table(table, self._schema)
        for draw in [None] if draws is None else range(draws):
            for batch in read.batches(_BATCH_ROWS):
                cells = self._filled(batch, draw, seed)
                if draw is not None:
                    cells[DRAW] = pa.array(np.full(batch.rows, draw + 1))
                yield pa.RecordBatch.from_arrays([cells[name] for name in form.names], schema=form)

    def _filled(self, batch: TableBatch, draw: int | None, seed: int) -> dict[str, pa.Array]:
        x, gone = self._completed(batch, draw, seed)
        cells = {name: batch.columns.column(name) for name in batch.names}
        for index, (column, form) in enumerate(zip(self._schema.modelled, self._types, strict=True)):
            own, mask = _as(cells[column.name], form, column, batch), gone[:, index]
            if mask.any():
                values = np.where(mask, x[:, index], 0.0)
                own = pc.if_else(pa.array(mask), arrow_array(values, column, form), own)
            cells[column.name] = own
        for column in self._schema.columns:
            if column.kind is Kind.CONSTANT and column.name in cells:
                own = cells[column.name]
                cells[column.name] = own.fill_null(pa.scalar(column.value).cast(own.type))
        return cells

    def _completed(
        self, batch: TableBatch, draw: int | None, seed: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Return the numbers of a batch with missing cells filled in, and which cells were missing."""
        matrix = to_matrix(batch, self._schema, missing=True, unknown=True)
        x = torch.from_numpy(matrix).to(self._density._like().device)
        gone = x.isnan()
        holes = gone.any(1)
        if bool(holes.any()):
            known, words = x, None
            if draw is not None:
                known = self._supports.dequantise(x, seed=seed, first_row=batch.start, draw=draw)
                words = (seed, draw, batch.start)
            filled = completed_rows(self._density, known[holes], words)
            if draw is None:
                filled = within_observed(filled, self._schema.modelled)
            filled = self._supports.snap(filled)
            x[holes] = torch.where(gone[holes], filled, x[holes])
        return x.numpy(force=True), gone.numpy(force=True)


def _as(cells: pa.Array, form: pa.DataType, column: Column, batch: TableBatch) -> pa.Array:
    """Return cells in the type that they are written in; only whole numbers can fail to fit it."""
    if cells.type == form:
        return cells
    numbers = cells.to_numpy(zero_copy_only=False)
    strange = np.flatnonzero(~np.isnan(numbers) & (numbers != np.floor(numbers)))
    if len(strange):
        file, row = batch.locate(int(strange[0]))
        raise DataError(
            f"the value {numbers[strange[0]]:g} in a column of whole numbers",
            file=file,
            row=row,
            column=column.name,
            fix="correct the cell, or fit a model with the column's kind as continuous",
        )
    return pa.array(numbers, mask=np.isnan(numbers)).cast(form)
