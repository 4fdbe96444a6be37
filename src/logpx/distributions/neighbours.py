"""The density of one column by its nearest draws, with wide tails."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["FEWEST_NEAR", "neighbour_density"]

#: Draws below which a share of them says hardly anything.
FEWEST_NEAR = 5
# Draws that are equal on a grid by more than chance: so many, and so many times as many as those around them.
_REPEATED, _ABOVE = 3, 4.0
_TINY = 1e-300


def neighbour_density(x: Tensor, drawn: Tensor, step: float = 0.0) -> Tensor:
    r"""Return the share of draws near each value over the width of the interval that they lie in.

    The interval reaches to the :math:`\sqrt n`-th nearest draw, so that the density falls like
    :math:`1 / |x|` beyond all of them. On a grid, a value that repeats far more often than those around it
    holds its share of the draws, and the density of other values is by draws of those: it does not rise
    beside a value that repeats.

    Parameters
    ----------
    x
        Values, shape ``(k,)``; NaN is missing.
    drawn
        Draws, finite, shape ``(n,)``.
    step
        The distance of the points of a grid that values lie on, 0 for none.

    Returns
    -------
    Tensor
        Shape ``(k,)``, above 0; NaN for missing values.

    Examples
    --------
    >>> drawn = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)
    >>> neighbour_density(torch.tensor([0.5, 100.0], dtype=torch.float64), drawn).log().round()
    tensor([ 0., -8.], dtype=torch.float64)
    """
    if not step:
        return _by_distance(x, drawn, step)
    repeated, masses = _repeated(drawn, step)
    if not len(repeated):
        return _by_distance(x, drawn, step)
    others = drawn[~torch.isin(drawn, repeated)]
    # As if one more draw were another value.
    share = (len(others) + 1.0) / (len(drawn) + 1.0)
    found = share * _by_distance(x, others if len(others) >= FEWEST_NEAR else drawn, step)
    place = torch.searchsorted(repeated, x.contiguous()).clamp_max(len(repeated) - 1)
    return found + torch.where(repeated[place] == x, masses[place] / step, 0.0)


def _repeated(drawn: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """Return the values that far more draws have than those around them, ascending, and their shares."""
    values, counts = torch.unique(drawn, return_counts=True)
    near, ends = _near(len(drawn)), counts.cumsum(0)
    offsets = torch.arange(near)
    before, after = (ends - counts)[:, None] - 1 - offsets, ends[:, None] + offsets
    there = torch.cat([before >= 0, after < len(drawn)], 1)
    places = torch.cat([before, after], 1).clamp(0, len(drawn) - 1)
    away = (drawn.sort().values[places] - values[:, None]).abs().masked_fill(~there, math.inf)
    reach = away.sort(1).values[:, near - 1]
    around = near / (2.0 * reach + step)
    found = (counts >= _REPEATED) & (counts / step >= _ABOVE * around)
    return values[found], counts[found].to(drawn) / len(drawn)


def _near(count: int) -> int:
    return min(count, max(FEWEST_NEAR, math.isqrt(count)))


def _by_distance(x: Tensor, drawn: Tensor, step: float) -> Tensor:
    ordered = drawn.sort().values
    count = len(ordered)
    if not count:
        return torch.full_like(x, _TINY).masked_fill(x.isnan(), math.nan)
    near = _near(count)
    x = x[:, None].contiguous()
    # The nearest values are neighbours: the first of them is among so many before x.
    first = torch.searchsorted(ordered, x) - near + torch.arange(near + 1)
    first = first.clamp(0, count - near)
    reach = torch.maximum(x - ordered[first], ordered[first + near - 1] - x).amin(1, keepdim=True)
    inside = torch.searchsorted(ordered, x + reach, right=True) - torch.searchsorted(ordered, x - reach)
    found = inside.clamp_min(near).to(ordered) / count / (2.0 * reach + step).clamp_min(_TINY)
    return found[:, 0].masked_fill(x[:, 0].isnan(), math.nan)
