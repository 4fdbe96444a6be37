"""The grids of all columns together: noise over one cell, and the way back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor

from logpx.scoring import Noise
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.dequantisation import dequantise
from logpx.tables.schema.schema import Column

__all__ = ["Supports"]


class Supports:
    """The supports of the modelled columns, acting on whole rows.

    Parameters
    ----------
    supports
        Bounds and grid of each column.

    Attributes
    ----------
    gridded : list of int
        The columns on a grid.
    levels : list of (int or None)
        For each column the number of its labels; None if it holds numbers.

    Examples
    --------
    >>> supports = Supports([Support(step=1.0), Support()])
    >>> noisy = supports.dequantise(torch.tensor([[3.0, 0.5]]), seed=0)
    >>> supports.snap(noisy)
    tensor([[3.0000, 0.5000]], dtype=torch.float64)
    """

    def __init__(self, supports: Sequence[Support]) -> None:
        self.supports = list(supports)
        self.gridded = [index for index, support in enumerate(self.supports) if support.step is not None]
        self.levels = [support.levels if isinstance(support, Labels) else None for support in self.supports]

    @classmethod
    def of(cls, columns: Iterable[Column]) -> Self:
        """Return the supports of a schema's columns; what a column leaves open is implied by its kind."""
        return cls([_support(column) for column in columns])

    @property
    def log_cell_volume(self) -> float:
        """The logarithm of the volume of one cell, which turns log-densities into log-probabilities."""
        return sum(math.log(support.step) for support in self.supports if support.step is not None)

    def dequantise(self, x: Tensor, *, seed: int, first_row: int = 0, draw: int = 0) -> Tensor:
        """Return consecutive rows of a table with every column on a grid spread over exactly one step.

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Rows as in the table; NaN (missing) stays NaN.
        seed : int
            The noise of a row depends only on the seed, the row's number and the draw.
        first_row : int
            The number of the first row, counted from 0.
        draw : int
            Which of several independent draws.
        """
        x = x.to(torch.float64)
        if not self.gridded:
            return x
        steps = x.new_tensor([self.supports[index].step for index in self.gridded])
        noise = Noise(seed, first_row, draw).uniform(len(x), (len(self.gridded),), x)
        columns = torch.tensor(self.gridded, device=x.device)
        return x.index_copy(1, columns, dequantise(x[:, self.gridded], steps, noise))

    def snap(self, x: Tensor) -> Tensor:
        """Return rows moved to the nearest grid points and within the bounds, shape ``(n, d)``, float64."""
        columns = [support.snap(column) for support, column in zip(self.supports, x.double().T, strict=True)]
        return torch.stack(columns, 1) if columns else x.double()


def _support(column: Column) -> Support:
    if column.levels is not None:
        return Labels(len(column.levels))
    lower = column.kind.lower_bound if column.lower is None else column.lower
    step = column.kind.step if column.step is None else column.step
    return Support(lower, column.upper, step, column.offset, uniform=column.uniform, rounding=column.rounding)
