"""The density of one column by its nearest draws, with wide tails."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["FEWEST_NEAR", "neighbour_density"]

#: Draws below which a share of them says hardly anything.
FEWEST_NEAR = 5
# Draws that are equal on a grid by more than chance.
_REPEATED = 3
_TINY = 1e-300


def neighbour_density(x: Tensor, drawn: Tensor, step: float = 0.0) -> Tensor:
    r"""Return the share of draws near each value over the width of the interval that they lie in.

    The interval reaches to the :math:`\sqrt n`-th nearest draw, so that the density falls like
    :math:`1 / |x|` beyond all of them. On a grid, values that repeat hold their share of the draws, and the
    density of other values is by draws of those: it does not rise beside a value that repeats.

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
    tensor([ 0., -7.], dtype=torch.float64)
    """
    values, counts = torch.unique(drawn, return_counts=True)
    repeated = values[counts >= _REPEATED]
    if not step or not len(repeated):
        return _by_distance(x, drawn, step)
    others = drawn[~torch.isin(drawn, repeated)]
    # As if one more draw were another value.
    share = (len(others) + 1.0) / (len(drawn) + 1.0)
    found = share * _by_distance(x, others if len(others) >= FEWEST_NEAR else drawn, step)
    masses = counts[counts >= _REPEATED].to(drawn) / len(drawn)
    place = torch.searchsorted(repeated, x.contiguous()).clamp_max(len(repeated) - 1)
    return found + torch.where(repeated[place] == x, masses[place] / step, 0.0)


def _by_distance(x: Tensor, drawn: Tensor, step: float) -> Tensor:
    ordered = drawn.sort().values
    count = len(ordered)
    if not count:
        return torch.full_like(x, _TINY).masked_fill(x.isnan(), math.nan)
    near = min(count, max(FEWEST_NEAR, math.isqrt(count)))
    x = x[:, None].contiguous()
    # The nearest values are neighbours: the first of them is among so many before x.
    first = torch.searchsorted(ordered, x) - near + torch.arange(near + 1)
    first = first.clamp(0, count - near)
    reach = torch.maximum(x - ordered[first], ordered[first + near - 1] - x).amin(1, keepdim=True)
    inside = torch.searchsorted(ordered, x + reach, right=True) - torch.searchsorted(ordered, x - reach)
    found = inside.clamp_min(near).to(ordered) / count / (2.0 * reach + step).clamp_min(_TINY)
    return found[:, 0].masked_fill(x[:, 0].isnan(), math.nan)
