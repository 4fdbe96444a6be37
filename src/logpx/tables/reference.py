"""Rows of reference, kept as the ranks of their columns: what later tables are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions import Distribution
from logpx.scoring import Calibration, RankReference
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.surprisals import CellSurprisals
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort

__all__ = ["TableReference", "conditional_positions", "reference_scores"]

_ROWS_AT_ONCE = 2048
_DRAWS = 8


class TableReference(Configured, nn.Module):
    """Rows that a model has not seen, as their log p, their columns, and their columns given the rest.

    No row is kept: of each column at most some 2,000 values or quantiles, without what they were beside.

    Parameters
    ----------
    scores
        The log p of the rows.
    marginals
        One for each modelled column.
    conditionals
        One for each column, of `conditional_positions`; empty if no density tells them.
    density
        The density that gave the scores; None for that of the model.
    conditions
        The density that placed cells given the rest; None for that of the model, if there are conditionals.

    Notes
    -----
    A model that was fitted once more, to all rows, would give the same rows other scores. New rows are
    therefore compared by the density that has not seen the rows of the reference.
    """

    def __init__(
        self,
        scores: Calibration,
        marginals: Sequence[RankReference],
        conditionals: Sequence[RankReference],
        density: Distribution | None = None,
        *,
        conditions: Distribution | None = None,
    ) -> None:
        super().__init__()
        self.scores = scores
        self.marginals = nn.ModuleList(marginals)
        self.conditionals = nn.ModuleList(conditionals)
        self.density, self.conditions = density, conditions

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.scores.rows


@torch.no_grad()
def reference_scores(
    density: Distribution, supports: Supports, x: Tensor, seed: int, first: int = 0
) -> Tensor:
    """Return log p of consecutive rows with as many draws of noise for all, shape ``(n,)``, float64."""
    noisy = bool(supports.noisy) and needs_noise(density)
    effort = Effort.of(density.kind == "exact", noisy, _DRAWS, None)
    (found,) = effort.bounds([density], supports, x, seed, first)
    return found.log_prob.double().cpu()


def conditional_positions(density: Distribution, supports: Supports, x: Tensor, seed: int) -> Tensor:
    """Return where each cell lies in its distribution given the other cells of its row.

    That is its probability integral transform. Whether or not the density is right, the positions in rows of
    the same kind have the same distribution.

    Parameters
    ----------
    density
        A density in table units that answers conditions.
    supports
        Bounds, grids, atoms and labels of the columns.
    x
        Rows as in the table, shape ``(n, d)``, float64.
    seed
        Seed of the noise within cells.

    Returns
    -------
    Tensor
        Shape ``(n, d)``, float64, between 0 and 1; NaN where a cell is missing.
    """
    cells = CellSurprisals(density, supports)
    found = torch.full_like(x, math.nan)
    for start in range(0, len(x), _ROWS_AT_ONCE):
        part = x[start : start + _ROWS_AT_ONCE]
        for column in range(x.shape[1]):
            marginals = cells.expected(part, column, seed=seed, first=start)
            own = part[:, column]
            if marginals.probabilities is None:
                place = marginals.cdf(own.nan_to_num()[:, None])[:, 0]
            else:
                known = marginals.probabilities.cumsum(1)
                codes = own.nan_to_num().long().clamp_max(known.shape[1] - 1)
                place = known.gather(1, codes[:, None])[:, 0]
            found[start : start + _ROWS_AT_ONCE, column] = place.masked_fill(own.isnan(), math.nan)
    return found
