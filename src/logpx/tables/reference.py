"""Rows of reference, kept as the ranks of their columns: what later tables are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions import Distribution
from logpx.scoring import RankReference
from logpx.tables.columns.supports import Supports
from logpx.tables.companions import answers_conditions
from logpx.tables.conditioning.surprisals import CellSurprisals

__all__ = ["TableReference", "conditional_positions", "conditioning_density"]

_ROWS_AT_ONCE = 2048


class TableReference(Configured, nn.Module):
    """The columns of rows that a model has not seen: their values, and their positions given the rest.

    No row is kept: of each column at most some 2,000 values or quantiles, without what they were beside.

    Parameters
    ----------
    marginals
        One for each modelled column.
    conditionals
        One for each column, of `conditional_positions`; empty if the model cannot tell them.
    """

    def __init__(self, marginals: Sequence[RankReference], conditionals: Sequence[RankReference]) -> None:
        super().__init__()
        self.marginals = nn.ModuleList(marginals)
        self.conditionals = nn.ModuleList(conditionals)

    @property
    def rows(self) -> int:
        """The number of rows."""
        first = self.marginals[0]
        assert isinstance(first, RankReference)
        return first.rows


def conditioning_density(own: Distribution, baselines: Mapping[str, Distribution]) -> Distribution | None:
    """Return the density that places cells given the rest: a model's own, or else a baseline, if any."""
    able = [one for one in (own, *reversed(list(baselines.values()))) if answers_conditions(one)]
    return able[0] if able else None


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
