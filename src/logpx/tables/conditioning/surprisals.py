"""How surprising each cell of a row is, given the others, and what was to be expected in its place."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.conditional import Marginals
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.conditioner import Conditioner
from logpx.tables.conditioning.quadrature import integrable
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort

__all__ = ["CellSurprisals"]

_DRAWS = 4
# Values that stand for the distribution of a column.
_LEVELS = 100
_ROUNDING = 1e-9


class CellSurprisals:
    r"""The conditional surprisal :math:`-\log p(x_j \mid x_{-j})` of cells, in nats.

    For mixtures it is exact but for noise within cells of grids; the order-agnostic model takes one pass for
    each column; for flows the column is integrated out by quadrature (`QuadratureDensity`), which is an
    estimate, and a variational autoencoder gives a difference of two bounds, an estimate, too.

    Parameters
    ----------
    density
        The density of a table model.
    supports
        Bounds, grids, atoms and labels of the columns.

    Attributes
    ----------
    by_quadrature : bool
        Whether columns are integrated out by quadrature.

    Raises
    ------
    UsageError
        If the model has no conditional distributions, not even approximate ones.
    """

    def __init__(self, density: Distribution, supports: Supports) -> None:
        self.density, self.by_quadrature = integrable(density)
        self.supports = supports
        self._conditioner = Conditioner(self.density, supports)

    @property
    def kind(self) -> str:
        """What log p of cells given the others is: ``exact``, ``lower bound`` or ``estimate``."""
        columns = torch.ones(len(self.supports.supports), dtype=torch.bool)
        return "estimate" if self.by_quadrature else self._conditioner.kind(columns)

    def possible(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows without the cells that are impossible to the model, and which those are."""
        return self._conditioner.possible(x)

    @torch.no_grad()
    def of(self, x: Tensor, *, seed: int = 0, first: int | Tensor = 0, draws: int = _DRAWS) -> Tensor:
        """Return the surprisal of every cell, shape ``(n, d)``; NaN where a cell is missing.

        Parameters
        ----------
        x
            Rows as in the table, shape ``(n, d)``, float64.
        seed, first
            Seed of the noise, and the number of the first row, counted from 0, or a number of every row,
            shape ``(n,)``, int64.
        draws
            Draws of noise within cells.
        """
        known, impossible = self.possible(x)
        found = torch.full_like(x, math.nan)
        for column in range(x.shape[1]):
            own = known.isfinite()[:, column]
            if bool(own.any()):
                each = self._of_column(known, column, draws, seed, first)
                found[:, column] = torch.where(own.cpu(), each.cpu(), math.nan).to(found)
        return found.masked_fill(impossible, math.inf)

    def _of_column(self, x: Tensor, column: int, draws: int, seed: int, first: int | Tensor) -> Tensor:
        noisy = bool(self.supports.noisy) and needs_noise(self.density)
        exact = self.density.kind == "exact"
        # For a few rows, all draws of noise cost little more than one; nodes of a quadrature are many.
        effort = replace(Effort.of(exact, noisy, draws, None), together=exact and not self.by_quadrature)
        target = torch.zeros(x.shape[1], dtype=torch.bool)
        target[column] = True
        (bound,) = effort.bounds([self._conditioner.log_prob(target)], self.supports, x, seed, first)
        return -bound.log_prob

    @torch.no_grad()
    def tail(
        self, x: Tensor, column: int, surprisals: Tensor, *, seed: int = 0, first: int | Tensor = 0
    ) -> Tensor:
        """Return the probability, given the others, of a cell as surprising as the one that is there.

        Parameters
        ----------
        x
            Rows as in the table, shape ``(n, d)``, float64.
        column
            The number of the column.
        surprisals
            Those of its cells, given the others that are there, shape ``(n,)``.
        seed, first
            As in `of`.

        Returns
        -------
        Tensor
            Shape ``(n,)``, in hundredths for columns of numbers.
        """
        keys = first if isinstance(first, Tensor) else int(first) + torch.arange(len(x))
        marginals = self.expected(x, column, seed=seed, first=int(keys[0]) if len(keys) else 0)
        own = surprisals.double().cpu() - _ROUNDING
        if marginals.probabilities is not None:
            each = marginals.probabilities.cpu()
            return (each * (-each.log() >= own[:, None])).sum(1)
        levels = (torch.arange(_LEVELS, dtype=torch.float64, device=x.device) + 0.5) / _LEVELS
        values = self.supports.supports[column].snap(marginals.quantiles(levels))
        others, _ = self.possible(x.repeat_interleave(_LEVELS, 0))
        others[:, column] = values.flatten()
        found = self._of_column(others, column, 1, seed, keys.repeat_interleave(_LEVELS))
        return (found.view(len(x), _LEVELS).cpu() >= own[:, None]).double().mean(1)

    @torch.no_grad()
    def expected(self, x: Tensor, column: int, *, seed: int = 0, first: int = 0) -> Marginals:
        """Return the distribution of a column given the others, one for every row, whatever its own cell."""
        known, _ = self.possible(x)
        known = known.clone()
        known[:, column] = math.nan
        draws = _DRAWS if bool(self.supports.noisy) and needs_noise(self.density) else 1
        noisy = self.supports.dequantise_alike(known, seed=seed, draws=draws)
        (found,) = self._conditioner.marginals(noisy, [column], (seed, first))
        return found
