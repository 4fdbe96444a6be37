"""Rows of a table as the model inside its density takes them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, isneginf

from logpx.errors import DataError
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.reading.table import TableBatch

__all__ = ["as_modelled"]


def as_modelled(
    density: TableDensity | CellDensity, noisy: Tensor, batch: TableBatch, names: Sequence[str]
) -> Tensor:
    """Return rows as the model of a density takes them: cells, or numbers in model units.

    Parameters
    ----------
    density
        The density, in table units.
    noisy
        The rows in table units, dequantised, shape ``(n, d)``.
    batch
        Where they come from.
    names
        The names of the columns.

    Raises
    ------
    DataError
        If a value lies where the density is 0; names file, row and column.
    """
    y: Tensor
    if isinstance(density, CellDensity):
        y = density.cells(noisy)
        return y
    y, ladj = density.in_model_units(noisy)
    impossible = isneginf(ladj).nonzero().flatten()
    if len(impossible):
        row = int(impossible[0])
        (wrong,) = density.impossible_cells(noisy[row : row + 1])
        column = next((name for name, odd in zip(names, wrong.tolist(), strict=True) if odd), None)
        file, number = batch.locate(row)
        raise DataError(
            "a value outside the range that the model has learnt for the column",
            file=file,
            row=number,
            column=column,
            fix="correct the cell, or fit a model to all rows",
        )
    return y
