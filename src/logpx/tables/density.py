"""A density over rows in the table's own units: column maps, then any distribution on model space."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution, LowerBound, Mixture
from logpx.distributions.conditional import MappedMarginals, Marginals, mixed
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.supports import Supports

__all__ = ["TableDensity", "impossible_cells"]


class TableDensity(Distribution):
    r"""Rows x in table units, :math:`\log p(x) = \log p_y(y(x)) + \sum_j \log |dy_j / dx_j|`.

    Column maps run in float64, whatever the precision of the model: numbers of nine digits and columns with
    a spread of 1e-6 both keep their resolution.

    Parameters
    ----------
    columns
        The maps of the columns to model units.
    model
        The distribution of rows in model units.

    Attributes
    ----------
    levels : list of (int or None)
        For each column the number of its labels; None if it holds numbers.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> from logpx.tables import ColumnScales, Support
    >>> columns = ColumnScales.standard([[-10.0], [10.0]], [Support()])
    >>> TableDensity(columns, StandardNormal(1)).log_prob(torch.zeros(1, 1))
    tensor([-3.2215], dtype=torch.float64)
    """

    def __init__(self, columns: ColumnScales, model: Distribution) -> None:
        super().__init__(model.event_shape)
        self.columns = columns
        self.model = model
        self.allows_missing = model.allows_missing
        self.levels = Supports(columns.supports).levels

    @property
    def kind(self) -> str:
        """Whether the model's log-density is ``exact`` or a ``lower bound``."""
        return self.model.kind

    def in_model_units(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows in model units, in the model's dtype, and the log abs(det) of the maps, in float64.

        A label that the model does not know has probability 0: it is replaced by a missing cell, and the log
        abs(det) is minus infinity.
        """
        y, ladj = self.columns.forward(x)
        for column, levels in enumerate(self.levels):
            if levels is not None:
                strange = y[:, column] >= levels
                y[:, column] = y[:, column].masked_fill(strange, math.nan)
                ladj = ladj.masked_fill(strange, -math.inf)
        return y.to(self.model._like().dtype), ladj

    def impossible_cells(self, x: Tensor) -> Tensor:
        """Return which cells of rows in table units are outside the support of their column, ``(n, d)``."""
        found = []
        for scale, levels, values in zip(self.columns.scales, self.levels, x.double().T, strict=True):
            _, log_derivative = scale(values)
            found.append(torch.isneginf(log_derivative) if levels is None else values >= levels)
        return torch.stack(found, 1) & ~x.isnan()

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density of dequantised rows in nats, in table units: shape ``(n,)``, float64.

        A row outside the support of a column has log-density minus infinity.
        """
        y, ladj = self.in_model_units(x)
        return torch.where(torch.isneginf(ladj), ladj, self.model.log_prob(y).double() + ladj)

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int = 0,
    ) -> LowerBound:
        """Return the model's lower bound in table units, with its standard error: float64."""
        y, ladj = self.in_model_units(x)
        bound, error = self.model.log_prob_lower(y, draws, seed, first=first)
        impossible = torch.isneginf(ladj)
        return LowerBound(
            torch.where(impossible, ladj, bound.double() + ladj), error.double().masked_fill(impossible, 0.0)
        )

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of the target columns given the others, in table units: shape ``(n,)``, float64.

        A target cell outside the support of its column has log-density minus infinity.
        """
        y, _ = self.in_model_units(x)
        _, ladj = self.in_model_units(x.masked_fill(~target, math.nan))
        found = self.model.conditional_log_prob(y, target).double()
        return torch.where(torch.isneginf(ladj), ladj, found + ladj)

    @property
    def has_closed_marginals(self) -> bool:
        """Whether `conditional_marginals` answers."""
        return hasattr(self.model, "conditional_marginals")

    def conditional_marginals(self, rows: Sequence[Tensor], weights: Tensor, column: int) -> Marginals:
        """Return the distribution of a column given the others, one for every row, in table units.

        Parameters
        ----------
        rows
            The same rows with several draws of noise, each of shape ``(n, d)``.
        weights
            Those of the draws, shape ``(n, draws)``.
        column
            The number of the column.
        """
        units = (self.in_model_units(x)[0] for x in rows)
        found = mixed([self.model.conditional_marginals(y, column) for y in units], weights)  # type: ignore[operator]
        if found.probabilities is not None:
            return found
        scale = self.columns.scales[column]
        return MappedMarginals(
            found,
            lambda own: scale(own.flatten())[0].view(own.shape),
            lambda own: scale.inverse(own.flatten())[0].view(own.shape),  # type: ignore[operator]
        )

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows in table units, shape ``(n, d)``, float64; columns on a grid are not yet rounded."""
        return self.columns.inverse(self.model.sample(n, seed=seed), snap=False)


def impossible_cells(density: Distribution, x: Tensor) -> Tensor:
    """Return which cells are outside the support of their column under every component of a density."""
    members = density.components if isinstance(density, Mixture) else [density]
    found = [member.impossible_cells(x) for member in members if isinstance(member, TableDensity)]
    return torch.stack(found).all(0) if found else torch.zeros_like(x, dtype=torch.bool)
