"""The rows of a table, with their missing cells and the columns that it lacks drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import BLOCK_ROWS, checked_count
from logpx.errors import DataError, UsageError
from logpx.tables.arrow_columns import arrow_array, written_type
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.conditioner import Conditioner
from logpx.tables.kept_cells import KeptCells, replaced
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.matrix import to_matrix
from logpx.tables.schema.schema import Schema

__all__ = ["Extension"]


class Extension:
    """Draws the rest of the rows of a table that gives some cells of them.

    Given cells come out as they were read. The columns are those of the table, and then those of the model
    that it lacks.

    Parameters
    ----------
    schema
        The columns of the model.
    density
        The distribution of dequantised rows.
    table
        A table with some of the columns.
    as_text
        Whether the cells of a text file are written as text again.

    Raises
    ------
    DataError
        If the table has a column that the model does not know.
    UsageError
        If no cell is left to draw, or the density cannot condition on columns.
    """

    def __init__(self, schema: Schema, density: Distribution, table: Table, *, as_text: bool = False) -> None:
        schema.check(table.names, table.file, ())
        self._supports = Supports.of(schema.modelled)
        self._conditioner = Conditioner(density, self._supports)
        self._device = density._like().device
        self._modelled = schema.modelled
        present = set(table.names)
        self._own = Schema(columns=[column for column in schema.columns if column.name in present])
        self._places = [schema.modelled_names.index(name) for name in self._own.modelled_names]
        self._lacking = [place for place in range(len(self._modelled)) if place not in self._places]
        self._kept = KeptCells(table, self._own, Supports.of(self._own.modelled), as_text=as_text)
        if not self._lacking and not self._has_holes():
            raise UsageError(
                "every cell is given, and nothing is left to draw",
                file=table.file,
                fix="leave out the columns that are to be drawn",
            )

    @property
    def form(self) -> pa.Schema:
        """The names and types of the columns."""
        others = [
            (self._modelled[place].name, written_type(self._modelled[place], self._supports.supports[place]))
            for place in self._lacking
        ]
        return pa.schema([*self._kept.schema, *pa.schema(others)], self._kept.schema.metadata)

    @torch.no_grad()
    def batches(self, n: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield n draws of each row, one after another.

        Raises
        ------
        DataError
            If a given cell cannot be read, or is one that its column cannot have.
        """
        n, form = checked_count(n), self.form
        for batch in self._kept.table.batches(max(1, BLOCK_ROWS // max(n, 1))):
            x = self._matrix(batch)
            self._check(batch, x)
            cells = self._kept.cells(batch)
            whole = torch.arange(len(x)).repeat_interleave(n)
            for block, rows in enumerate(torch.split(whole, BLOCK_ROWS)):
                values = self._drawn(x[rows], seed, batch.start * n + block * BLOCK_ROWS)
                yield self._written(cells, rows, x[rows].isnan().numpy(), values, form)

    def _matrix(self, batch: TableBatch) -> Tensor:
        x = torch.full((batch.rows, len(self._modelled)), torch.nan, dtype=torch.float64)
        if self._places:
            x[:, self._places] = torch.from_numpy(to_matrix(batch, self._own, missing=True))
        return x

    def _has_holes(self) -> bool:
        return any(bool(self._matrix(batch).isnan().any()) for batch in self._kept.table.batches())

    def _check(self, batch: TableBatch, x: Tensor) -> None:
        """Refuse given cells that their column cannot have."""
        _, impossible = self._conditioner.possible(self._dequantised(x.to(self._device), 0, 0))
        pairs = zip(self._supports.supports, x.T, strict=True)
        off_grid = torch.stack([support.off_grid(column) for support, column in pairs], 1)
        wrong = impossible.cpu() | off_grid
        if bool(wrong.any()):
            row, place = wrong.nonzero()[0].tolist()
            file, row_in_file = batch.locate(row)
            raise DataError(
                f"the value {x[row, place]:g} is outside the bounds of the column or off its grid",
                file=file,
                row=row_in_file,
                column=self._modelled[place].name,
                fix="correct the cell, or leave it empty for it to be drawn",
            )

    def _dequantised(self, x: Tensor, seed: int, first: int) -> Tensor:
        return self._supports.dequantise(x, seed=seed, first_row=first)

    def _drawn(self, x: Tensor, seed: int, first: int) -> np.ndarray:
        # A whole block, because arithmetic on fewer rows would round differently.
        padded = x[torch.arange(BLOCK_ROWS).clamp_max(len(x) - 1)].to(self._device)
        noisy = self._dequantised(padded, seed, first)
        values: np.ndarray = self._conditioner.drawn(noisy, (seed, first))[: len(x)].numpy(force=True)
        return values

    def _written(
        self,
        cells: dict[str, pa.Array],
        rows: Tensor,
        gone: np.ndarray,
        values: np.ndarray,
        form: pa.Schema,
    ) -> pa.RecordBatch:
        found = {name: own.take(pa.array(rows.numpy())) for name, own in cells.items()}
        for place in self._places:
            column, mask = self._modelled[place], gone[:, place]
            if mask.any():
                own = found[column.name]
                found[column.name] = replaced(own, mask, column.write(values[mask, place], own))
        for place in self._lacking:
            column = self._modelled[place]
            found[column.name] = arrow_array(values[:, place], column, form.field(column.name).type)
        return pa.RecordBatch.from_arrays([found[name] for name in form.names], schema=form)
