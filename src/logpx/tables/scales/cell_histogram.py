"""The scale of a column on a grid: a histogram over its cells, carried to the normal distribution."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor

from logpx.distributions.meta import evenly_spaced
from logpx.errors import UsageError
from logpx.tables.scales.histogram import Histogram
from logpx.tables.scales.normal import normal_mass
from logpx.tables.scales.sample import Sample
from logpx.tables.scales.scale import LIMIT, Scale

__all__ = ["CellHistogram"]

_LOG_NORMALISER = 0.5 * math.log(2 * math.pi)
# The distribution function at a bound, in place of 0: its normal quantile is -37.
_LEAST = 1e-300


class CellHistogram(Scale):
    """Map the distribution function of the grid's cells, linear inside each cell, to normal quantiles.

    Dequantised values (uniform over one step around each grid point) become exactly standard normal, so the
    model does not have to find the grid again. Unseen cells keep a little mass. Where the cells end at a
    bound, so does the map; else it is linear beyond the outermost cell, and the density has Gaussian tails,
    then power-law ones.

    Parameters
    ----------
    segments : int
        The number of intervals with their own density: cells, gaps between cells, or runs of rare cells.

    Examples
    --------
    >>> values = [0.0] * 10 + [1.0] * 3 + [3.0] * 7
    >>> scale = CellHistogram.fit(values, step=1.0)
    >>> y, log_derivative = scale(torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64))
    >>> bool((y[1:] > y[:-1]).all())
    True
    """

    edges: Tensor
    below: Tensor
    above: Tensor
    heights: Tensor
    tail_slopes: Tensor

    def __init__(self, segments: int) -> None:
        super().__init__()
        if segments < 1:
            raise UsageError(f"a histogram of {segments} segments", fix="give segments=1 or more")
        for name in ("edges", "below", "above", "heights"):
            self.register_buffer(name, evenly_spaced(0.1, 0.9, segments + 1))
        self.register_buffer("tail_slopes", torch.ones(2, dtype=torch.float64))

    @classmethod
    def fit(
        cls,
        x: Any,
        weights: Any = None,
        *,
        step: float,
        offset: float = 0.0,
        lower: float | None = None,
        upper: float | None = None,
        limit: float = LIMIT,
    ) -> Self:
        """Return the scale of values on the grid ``offset + k * step``, dequantised or not.

        Parameters
        ----------
        x : array of shape (n,)
            Training values, or a `Sample` of them.
        weights : array of shape (n,), optional
            The weight of each row.
        step, offset : float
            The grid.
        lower, upper : float, optional
            The outer edges of the first and of the last possible cell; None if cells have no end.
        limit : float
            Standard deviations beyond which power-law tails begin, unless cells end at both sides.

        Raises
        ------
        DataError
            If fewer than two values are distinct, one is not finite, one is beyond 2^52 steps, or one is
            beyond an outer edge.
        """
        sample = Sample.of(x, weights)
        histogram = Histogram.of(sample, step, offset, lower, upper)
        scale = cls(len(histogram.masses))
        scale.edges.copy_(torch.from_numpy(histogram.edges))
        masses = torch.from_numpy(histogram.masses)
        low, high = (masses.new_tensor([tail]) for tail in histogram.tails)
        # Both cumulative sums are kept, so that neither tail is a difference from one.
        scale.below.copy_(torch.cat([low, masses]).cumsum(0))
        scale.above.copy_(torch.cat([high, masses.flip(0)]).cumsum(0).flip(0))
        scale.heights.copy_(_normal_quantile(scale.below, scale.above))
        # With this slope the density of a tail falls by a factor e over the histogram's typical width.
        slopes = 1 / (histogram.width * scale.heights[[0, -1]].abs().clamp(min=1.0))
        ends = torch.cat([low, high]) == 0
        # A slope of 0 stands for an end of the map.
        scale.tail_slopes.copy_(slopes.masked_fill(ends, 0.0))
        # Standard normal by construction: no mean or deviation of a finite sample says it better.
        scale.limit.fill_(math.inf if bool(ends.all()) else limit)
        return scale

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left, right = _segment(x, self.edges)
        width = self.edges[right] - self.edges[left]
        fraction = ((x - self.edges[left]) / width).clamp(0.0, 1.0)
        mass = self._mass(left, right)
        value = _normal_quantile(
            self.below[left] + mass * fraction, self.above[right] + mass * (1 - fraction)
        ).clamp(self.heights[0], self.heights[-1])
        log_slope = (mass / width).log() + value.square() / 2 + _LOG_NORMALISER
        low, high = self.tail_slopes
        before, after = x <= self.edges[0], x >= self.edges[-1]
        value = torch.where(before, self.heights[0] + low * (x - self.edges[0]), value)
        value = torch.where(after, self.heights[-1] + high * (x - self.edges[-1]), value)
        log_slope = torch.where(before, low.log(), torch.where(after, high.log(), log_slope))
        return value, log_slope

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        left, right = _segment(value, self.heights)
        width = self.edges[right] - self.edges[left]
        mass = self._mass(left, right)
        inner = value.clamp(self.heights[0], self.heights[-1])
        from_left = (normal_mass(inner) - self.below[left]) / mass
        from_right = (normal_mass(-inner) - self.above[right]) / mass
        x = torch.where(
            inner < 0,
            self.edges[left] + width * from_left.clamp(0.0, 1.0),
            self.edges[right] - width * from_right.clamp(0.0, 1.0),
        )
        log_slope = (width / mass).log() - inner.square() / 2 - _LOG_NORMALISER
        low, high = self.tail_slopes
        before, after = (value < self.heights[0]) & (low > 0), (value > self.heights[-1]) & (high > 0)
        x = torch.where(before, self.edges[0] + (value - self.heights[0]) / low, x)
        x = torch.where(after, self.edges[-1] + (value - self.heights[-1]) / high, x)
        log_slope = torch.where(before, -low.log(), torch.where(after, -high.log(), log_slope))
        return self._inside(x), log_slope

    def _inside(self, x: Tensor) -> Tensor:
        """Return values moved off the ends of the map, where rounding has put them there."""
        low, high = self.tail_slopes > 0
        first = torch.nextafter(self.edges[0], self.edges[-1]).masked_fill(low, -math.inf)
        last = torch.nextafter(self.edges[-1], self.edges[0]).masked_fill(high, math.inf)
        return x.clamp(first, last)

    def _mass(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the mass of each segment, from whichever cumulative sum is the smaller there."""
        masses = torch.where(self.below[1:] < self.above[:-1], self.below.diff(), -self.above.diff())
        return masses[left]


def _segment(x: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    left = (torch.searchsorted(edges, x.detach().contiguous(), right=True) - 1).clamp(0, len(edges) - 2)
    return left, left + 1


def _normal_quantile(below: Tensor, above: Tensor) -> Tensor:
    """Return the normal quantile of a probability and its complement, exact in both tails."""
    # Not torch.minimum, whose gradient at the median is that of neither argument.
    nearer = below < above
    quantile = torch.special.ndtri(torch.where(nearer, below, above).clamp(min=_LEAST))
    return torch.where(nearer, quantile, -quantile)
