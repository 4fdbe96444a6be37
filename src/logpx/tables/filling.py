"""A table with its missing cells filled in and all other cells as they were read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.row_blocks import row_blocks
from logpx.errors import DataError, UsageError
from logpx.scoring import NumberedRows, RowIdentity
from logpx.tables.columns.supports import Supports
from logpx.tables.completion import completed_rows, observed_range, within_observed
from logpx.tables.kept_cells import KeptCells, replaced
from logpx.tables.possible import possible_rows
from logpx.tables.reading.cell_text import workable
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.label_cells import label_cells
from logpx.tables.schema.matrix import to_matrix
from logpx.tables.schema.schema import Column, Schema
from logpx.tables.schema.unseen_labels import UnseenLabels

__all__ = ["DRAW", "Filling"]

DRAW = "draw"
_BATCH_ROWS = 16384
# How many rows with keys are filled in at once, where the conditional distributions are exact, and where rows
# without missing cells cost as much as others; and how many streams of random numbers they share.
_EXACT_SLOTS, _OTHER_SLOTS = 4096, 256
_STREAMS = 65536


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
        self._observed = observed_range(schema.modelled)

    def schema(self, table: Table, draws: int | None, *, as_text: bool = False) -> pa.Schema:
        """Return the names and types of a completed table: those of the table, and the number of the draw.

        Raises
        ------
        UsageError
            If the table has a column with the name of the latter.
        """
        own = self._kept(table, as_text).schema
        if draws is None:
            return own
        if DRAW in own.names:
            raise UsageError(
                "the table already has a column with the name that numbers the draws",
                column=DRAW,
                fix="rename the column",
            )
        return pa.schema([pa.field(DRAW, pa.int64()), *own], own.metadata)

    def batches(
        self,
        table: Table,
        draws: int | None,
        seed: int,
        *,
        as_text: bool = False,
        unseen: UnseenLabels | None = None,
        identity: RowIdentity | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a completed table, or of several drawn ones, one after another.

        Parameters
        ----------
        table, draws, seed, as_text, unseen, identity
            As in `TableModel.impute_table`.

        Raises
        ------
        UsageError
            If a cell is missing, and the density cannot fill it in.
        """
        form, kept = self.schema(table, draws, as_text=as_text), self._kept(table, as_text)
        identity = identity or NumberedRows()
        for draw in [None] if draws is None else range(draws):
            # Labels are counted once, however often the table is completed.
            counted = unseen if unseen is not None and not draw else UnseenLabels()
            for batch in kept.table.batches(_BATCH_ROWS):
                x, gone = self._completed(batch, None if draw is None else (seed, draw), counted, identity)
                cells = self._filled(kept.cells(batch), x, gone, batch)
                if draw is not None:
                    cells[DRAW] = pa.array(np.full(batch.rows, draw + 1))
                yield pa.RecordBatch.from_arrays([cells[name] for name in form.names], schema=form)

    def _kept(self, table: Table, as_text: bool) -> KeptCells:
        return KeptCells(table, self._schema, self._supports, as_text=as_text)

    def _filled(
        self,
        cells: dict[str, pa.Array],
        x: npt.NDArray[np.float64],
        gone: npt.NDArray[np.bool_],
        batch: TableBatch,
    ) -> dict[str, pa.Array]:
        """Return cells with the missing ones filled in, and all others as they are."""
        for index, column in enumerate(self._schema.modelled):
            own, mask = cells[column.name], gone[:, index]
            if column.kind is Kind.INTEGER and self._supports.supports[index].whole:
                _refuse_fractions(x[~mask, index], np.flatnonzero(~mask), column, batch)
            if mask.any():
                with _located_in(batch, column):
                    cells[column.name] = replaced(own, mask, column.write(x[mask, index], own))
        for column in self._schema.columns:
            if column.kind is Kind.CONSTANT and column.name in cells and column.value is not None:
                cells[column.name] = _with_constant(cells[column.name], column, batch)
        return cells

    def _completed(
        self, batch: TableBatch, words: tuple[int, int] | None, unseen: UnseenLabels, identity: RowIdentity
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Return the numbers of a batch with missing cells filled in, and which cells were missing.

        The words are the seed and the number of the draw; without them, best guesses are filled in.
        """
        matrix = to_matrix(batch, self._schema, missing=True, unseen=unseen)
        x = torch.from_numpy(matrix).to(self._density._like().device)
        gone = x.isnan()
        holes = gone.any(1)
        if bool(holes.any()):
            own = identity.of(batch.start, x)
            # Rows that are complete need no look.
            looked_at = x.masked_fill(~holes[:, None], math.nan)
            known = possible_rows(self._density, looked_at, self._schema.modelled, batch, unseen)
            if words is not None:
                seed, draw = words
                known = self._supports.dequantise(known, seed=seed, first_row=own, draw=draw)
            if isinstance(own, Tensor):
                filled = self._filled_by_key(known[holes], own[holes.cpu()], words)
            else:
                filled = completed_rows(self._density, known[holes], words and (*words, own), self._observed)
            if words is None:
                filled = within_observed(filled, self._schema.modelled)
            filled = self._supports.snap(filled)
            x[holes] = torch.where(gone[holes], filled, x[holes])
        return x.numpy(force=True), gone.numpy(force=True)

    def _filled_by_key(self, x: Tensor, keys: Tensor, words: tuple[int, int] | None) -> Tensor:
        """Return rows filled in whose random numbers depend on their keys alone, whatever is beside them."""
        exact = self._density.kind == "exact"
        if words is None and exact:
            return completed_rows(self._density, x, observed=self._observed)
        slots = _EXACT_SLOTS if exact else _OTHER_SLOTS
        filled = torch.empty_like(x)
        # Random numbers are drawn for all slots at once, which therefore are always as many. A row without
        # missing cells costs least.
        other = completed_rows(self._density, x[:1], observed=self._observed)
        for number, rows, places in row_blocks(
            len(x), keys, slots, 1 if words is None else _STREAMS // slots
        ):
            whole = other.repeat(slots, 1)
            whole[places] = x[rows]
            filled[rows] = completed_rows(self._density, whole, words and (*words, number), self._observed)[
                places
            ]
        return filled


def _with_constant(cells: pa.Array, column: Column, batch: TableBatch) -> pa.Array:
    """Return cells of a column that has one value, with that value where one is missing."""
    gone = ~batch.readings[column.name].present(
        batch.stored.column(column.name), in_text_file=batch.undeclared(column.name)
    )
    present = np.flatnonzero(~gone)
    if not gone.any():
        return cells
    if len(present):
        # Another row shows how the value is stored and spelled.
        return replaced(cells, gone, workable(cells).take(pa.array(np.repeat(present[0], gone.sum()))))
    value = str(column.value) if isinstance(column.value, str | bool) else f"{column.value:.15g}"
    with _located_in(batch, column):
        return replaced(cells, gone, label_cells(pa.array([value] * int(gone.sum())), cells))


def _refuse_fractions(
    values: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], column: Column, batch: TableBatch
) -> None:
    strange = np.flatnonzero(values != np.floor(values))
    if len(strange):
        file, row = batch.locate(int(rows[strange[0]]))
        raise DataError(
            f"the value {values[strange[0]]:g} in a column of whole numbers",
            file=file,
            row=row,
            column=column.name,
            fix="correct the cell, or fit a model with the column's kind as continuous",
        )


@contextmanager
def _located_in(batch: TableBatch, column: Column) -> Iterator[None]:
    """Name file and column in an error about cells that cannot be written."""
    try:
        yield
    except DataError as error:
        raise DataError(error.message, file=batch.locate(0)[0], column=column.name, fix=error.fix) from None
