"""The scale that carries a column's quantiles to those of the normal distribution."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from logpx.distributions.meta import evenly_spaced
from logpx.errors import DataError, UsageError
from logpx.tables.scales.asinh import Asinh
from logpx.tables.scales.knots import quantile_knots
from logpx.tables.scales.sample import Array, Sample
from logpx.tables.scales.scale import LIMIT, Scale
from logpx.transforms.univariate.rational_quadratic import rational_quadratic

__all__ = ["QuantileSpline"]

# The weight, in pseudo-rows, of the slope next to a tail as a prior for the tail's slope.
_TAIL_PRIOR = 4.0
# The least slope of a tail, relative to that between the outermost knots.
_FLATTEST = 0.25


class QuantileSpline(Scale):
    """Map empirical quantiles to normal ones by a monotone spline over the coordinate of a simpler scale.

    The curve is a rational-quadratic spline with a continuous derivative, whose knots are smoothed quantiles
    of the inner scale's values. Beyond the outermost knots it is linear in the inner scale, with a slope
    fitted to the rows there by penalised maximum likelihood: over `Asinh` or `Log`, a lognormal tail.

    Parameters
    ----------
    inner : Scale
        The scale whose values the spline refines.
    knots : int
        Number of knots, at least 2.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_t(2, 2000)
    >>> scale = QuantileSpline.fit(x)
    >>> y, log_derivative = scale(torch.tensor([1e6], dtype=torch.float64))
    >>> bool(-y.square() / 2 + log_derivative > -60)
    True
    """

    knots: Tensor
    heights: Tensor
    slopes: Tensor

    def __init__(self, inner: Scale, knots: int) -> None:
        super().__init__()
        if knots < 2:
            raise UsageError(f"a spline of {knots} knots", fix="give knots=2 or more")
        self.inner = inner
        self.register_buffer("knots", evenly_spaced(-1.0, 1.0, knots))
        self.register_buffer("heights", evenly_spaced(-1.0, 1.0, knots))
        self.register_buffer("slopes", torch.ones(knots, dtype=torch.float64))

    @classmethod
    def fit(cls, x: Any, weights: Any = None, *, inner: Scale | None = None, limit: float = LIMIT) -> Self:
        """Return the scale of some training values.

        Parameters
        ----------
        x : array of shape (n,)
            Training values, or a `Sample` of them.
        weights : array of shape (n,), optional
            The weight of each row.
        inner : Scale, optional
            A fitted scale to refine; an `Asinh` fitted to the same values by default.
        limit : float
            Standard deviations beyond which power-law tails begin.

        Raises
        ------
        DataError
            If the values are too few or too similar for two knots, or lie outside the inner support.
        """
        sample = Sample.of(x, weights)
        inner = Asinh.fit(sample, limit=math.inf) if inner is None else inner
        coordinate, log_slope = inner(torch.from_numpy(sample.values).to(inner.centre.device))
        if not torch.isfinite(log_slope).all():
            raise DataError("values outside the support of the inner scale", fix="widen the declared bounds")
        mapped = sample.mapped(coordinate.numpy(force=True))
        knots, heights = quantile_knots(mapped)
        scale = cls(inner, len(knots))
        scale.knots.copy_(torch.from_numpy(knots))
        scale.heights.copy_(torch.from_numpy(heights))
        scale.slopes.copy_(torch.from_numpy(_slopes(mapped, knots, heights)))
        return scale._standardise(sample, limit)

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        coordinate, log_inner = self.inner(x)
        value, log_slope = rational_quadratic(coordinate, self.knots, self.heights, self.slopes)
        return value, log_inner + log_slope

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        coordinate, log_slope = rational_quadratic(value, self.knots, self.heights, self.slopes, inverse=True)
        x, log_inner = self.inner.inverse(coordinate)
        return x, log_inner + log_slope


def _slopes(sample: Sample, knots: Array, heights: Array) -> Array:
    """Return positive slopes: harmonic means of neighbouring secants inside, fitted tails outside."""
    widths = np.diff(knots)
    secants = np.diff(heights) / widths
    # Next to a gap a secant is flat; the inner scale already has tails of about the right weight.
    least = _FLATTEST * (heights[-1] - heights[0]) / (knots[-1] - knots[0])
    before, after = max(secants[0], least), max(secants[-1], least)
    first = _tail_slope(knots[0] - sample.values[::-1], -heights[0], before, sample, reverse=True)
    last = _tail_slope(sample.values - knots[-1], heights[-1], after, sample, reverse=False)
    first, last = max(first, least), max(last, least)
    # Fritsch and Butland 1984: the weights make the derivative second order on uneven knots.
    near, far = 2 * widths[1:] + widths[:-1], widths[1:] + 2 * widths[:-1]
    inside = (near + far) / (near / secants[:-1] + far / secants[1:])
    return np.concatenate([[first], inside, [last]])


def _tail_slope(excess: Array, height: float, prior: float, sample: Sample, *, reverse: bool) -> float:
    r"""Return the slope d of a tail that maximises the penalised likelihood of the rows in it.

    A row at excess e beyond a knot of height h has the density :math:`d\,\phi(h + d e)`, so d solves
    :math:`d^2 \sum e^2 + d h \sum e - m = 0`. Pseudo-rows distributed according to the prior slope are added
    to the sums.
    """
    mass = np.ones_like(excess) if sample.weights is None else sample.weights[:: -1 if reverse else 1]
    mass = mass * (sample.effective_size() / mass.sum()) * (excess > 0)
    excess = np.maximum(excess, 0.0)
    density = math.exp(-0.5 * height * height) / math.sqrt(2 * math.pi)
    beyond = 0.5 * math.erfc(height / math.sqrt(2))
    overshoot = max(density / beyond - height, 0.0)
    squared = max(1 - height * overshoot, 0.0)
    count = float(mass.sum()) + _TAIL_PRIOR
    first = float(mass @ excess) + _TAIL_PRIOR * overshoot / prior
    second = float(mass @ np.square(excess)) + _TAIL_PRIOR * squared / prior**2
    linear = height * first
    slope = 2 * count / (linear + math.sqrt(linear * linear + 4 * count * second))
    return float(np.clip(slope, prior / 50, prior * 50))
