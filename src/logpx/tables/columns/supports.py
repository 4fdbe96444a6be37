"""The supports of all columns together: noise over one cell, and the way back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor

from logpx.distributions.seeding import generator_of
from logpx.scoring import Noise
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.schema import Column

__all__ = ["Supports"]


class Supports:
    """The supports of the modelled columns, acting on whole rows.

    Parameters
    ----------
    supports
        Bounds, grid and atoms of each column.

    Attributes
    ----------
    gridded : list of int
        The columns on a grid.
    noisy : list of int
        The columns that are dequantised: those on a grid or with atoms.
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
        self.noisy = [index for index, support in enumerate(self.supports) if support.noisy]
        self.levels = [support.levels if isinstance(support, Labels) else None for support in self.supports]

    @classmethod
    def of(cls, columns: Iterable[Column]) -> Self:
        """Return the supports of a schema's columns; what a column leaves open is implied by its kind."""
        return cls([_support(column) for column in columns])

    def dequantise(self, x: Tensor, *, seed: int, first_row: int | Tensor = 0, draw: int = 0) -> Tensor:
        """Return consecutive rows of a table with columns on a grid and atoms spread over cells.

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Rows as in the table; NaN (missing) stays NaN.
        seed : int
            The noise of a row depends only on the seed, the row's number or key, and the draw.
        first_row : int or Tensor
            The number of the first row, counted from 0; or a key of every row, shape ``(n,)``, int64.
        draw : int
            Which of several independent draws.
        """
        x = x.to(torch.float64)
        if not self.noisy:
            return x
        return self._spread(x, Noise(seed, first_row, draw).uniform(len(x), (len(self.noisy),), x))

    def dequantise_alike(self, x: Tensor, *, seed: int, draws: int) -> list[Tensor]:
        """Return rows dequantised several times, all rows by the same noise, which is spread evenly.

        What is averaged over these is a function of the row alone, whatever rows are beside it.

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Rows as in the table; NaN (missing) stays NaN.
        seed : int
            Seed of the noise.
        draws : int
            How often.

        Examples
        --------
        >>> low, high = sorted(
        ...     noisy.item() for noisy in Supports([Support(step=1.0)]).dequantise_alike(
        ...         torch.tensor([[3.0]]), seed=0, draws=2
        ...     )
        ... )
        >>> low, high
        (2.75, 3.25)
        """
        x = x.to(torch.float64)
        if not self.noisy:
            return [x] * draws
        generator = generator_of(seed)
        places = torch.stack([torch.randperm(draws, generator=generator) for _ in self.noisy], 1)
        noise = ((places + 0.5) / draws).to(x)
        return [self._spread(x, own.expand(len(x), -1)) for own in noise]

    def _spread(self, x: Tensor, noise: Tensor) -> Tensor:
        spread = [
            self.supports[index].dequantise(column, own)
            for index, column, own in zip(self.noisy, x[:, self.noisy].T, noise.T, strict=True)
        ]
        return x.index_copy(1, torch.tensor(self.noisy, device=x.device), torch.stack(spread, 1))

    def snap(self, x: Tensor) -> Tensor:
        """Return the rows that dequantised ones stand for, shape ``(n, d)``, float64."""
        columns = [support.snap(column) for support, column in zip(self.supports, x.double().T, strict=True)]
        return torch.stack(columns, 1) if columns else x.double()

    def cells(self, x: Tensor) -> Tensor:
        """Return the values whose cells numbers lie in, float64; unknown labels stay, and numbers outside."""
        columns = [
            column if isinstance(support, Labels) else _inside(support, column)
            for support, column in zip(self.supports, x.double().unbind(-1), strict=True)
        ]
        return torch.stack(columns, -1)


def _inside(support: Support, x: Tensor) -> Tensor:
    """Return the values that dequantised ones stand for, but leave those outside where they are."""
    lower, upper = support.extent
    outside = (x != x.clamp(lower, upper)) if (lower, upper) != (None, None) else torch.zeros_like(x).bool()
    return torch.where(outside, x, support.snap(x))


def _support(column: Column) -> Support:
    if column.levels is not None:
        return Labels(len(column.levels))
    lower = column.kind.lower_bound if column.lower is None else column.lower
    step = column.kind.step if column.step is None else column.step
    if column.kind is Kind.POSITIVE and lower == 0.0 and step is not None and column.uniform:
        # The first point of the grid above 0, which itself is no positive number.
        lower = column.offset + (math.floor(-column.offset / step + 1e-6) + 1) * step
    return Support(
        lower,
        column.upper,
        step,
        column.offset,
        uniform=column.uniform,
        rounding=column.rounding,
        atoms=column.atoms,
    )
