"""Rational-quadratic splines as functions of one number: on the line, on an interval, on a circle."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from logpx.arguments import check_count, check_number
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.interval_spline import interval_spline
from logpx.transforms.univariate.nodes import suits_node
from logpx.transforms.univariate.spline_node import (
    CircularEnds,
    FixedEnds,
    FreeEnds,
    SplineEnds,
    SplineShape,
    spline_node,
)

__all__ = [
    "BoundedRationalQuadraticFunction",
    "CircularRationalQuadraticFunction",
    "RationalQuadraticFunction",
    "wrap",
]

_MOST_BINS = 999
# Parameters from N(0, 1), as conditioners return them, give bins that differ by factors of about two.
_SHARPNESS = 0.4
# The least share of the interval that a bin takes up, and the most that such shares may add up to. With up
# to 40 bins, mean slopes then stay within a factor of 80 of 1, and no round trip loses more than about three
# digits.
_LEAST_SHARE = 0.0125
_MOST_SHARED = 0.5
_LARGEST_LOG_RATIO = math.log(10.0)


def _check_bins(bins: int) -> None:
    check_count("bins", bins, most=_MOST_BINS)


def _common(bins: int) -> float:
    """Return the share of the interval that is given to the bins in equal parts."""
    return min(_LEAST_SHARE * bins, _MOST_SHARED)


def _shape(bins: int, lower: float, upper: float, ends: SplineEnds) -> SplineShape:
    return SplineShape(
        bins=bins,
        lower=lower,
        upper=upper,
        ends=ends,
        common=_common(bins),
        sharpness=_SHARPNESS,
        log_ratio=_LARGEST_LOG_RATIO / _SHARPNESS,
    )


def _numbers_first(params: Tensor) -> Tensor:
    """Return parameters with those of one element far apart in memory, so that sums over them are fast."""
    return params.movedim(-1, 0).contiguous()


def _bins(raw: Tensor, bins: int, lower: float, upper: float) -> tuple[Tensor, Tensor]:
    """Return the knots, of x and of y, and the reciprocal mean slopes of the bins between them."""
    raw = raw.view(2, bins, *raw.shape[1:])
    common = _common(bins)
    # The shares of the interval that the bins take up; they add up to 1.
    shares = _scaled(torch.softmax(raw * _SHARPNESS, 1), 1.0 - common, common / bins)
    inner = _scaled(torch.cumsum(shares[:, :-1], 1), upper - lower, lower)
    others = [0, 0] * (raw.dim() - 2)
    knots = functional.pad(functional.pad(inner, [*others, 1, 0], value=lower), [*others, 0, 1], value=upper)
    widths, heights = shares.unbind(0)
    return knots, widths / heights


def _scaled(x: Tensor, factor: float, added: float) -> Tensor:
    """Return ``factor * x + added`` by one operator."""
    return torch.rsub(x, added, alpha=-factor)


def _ratios(raw: Tensor) -> Tensor:
    """Return the factors by which slopes differ from those that their neighbouring bins suggest."""
    # The logarithm is a / (1 + |a| / b), with b its bound and a the parameter times the sharpness.
    return torch.exp(raw / _scaled(raw.abs(), 1.0 / _LARGEST_LOG_RATIO, 1.0 / _SHARPNESS))


def _between(reciprocals: Tensor, following: Tensor) -> Tensor:
    """Return the harmonic mean of the mean slopes of neighbours: with it a flat bin is nowhere flatter."""
    return 2.0 / (reciprocals + following)


class RationalQuadraticFunction(Univariate):
    r"""Rational-quadratic spline on [-bound, bound], the identity outside.

    The slope at a knot is :math:`r \cdot 2 s_0 s_1 / (s_0 + s_1)` with the mean slopes of the two bins beside
    it and a ratio r between 1/10 and 10. Bins have a smallest size. Both limit the condition number of the
    function: whatever the parameters, with the default bins and bound a round trip in single precision is
    off by less than 0.001.

    Parameters
    ----------
    bins
        The number of bins K; it takes 3 K - 1 numbers: K widths, K heights, K - 1 inner slopes.
    bound
        Half the width of the interval.

    Raises
    ------
    UsageError
        If there are no bins or more than 999, or the bound is not positive and finite.

    References
    ----------
    Durkan et al. 2019, Neural Spline Flows.
    https://arxiv.org/abs/1906.04032

    Examples
    --------
    >>> spline = RationalQuadraticFunction(bins=8)
    >>> spline(torch.tensor([0.3, 9.0]), torch.zeros(2, spline.parameters))[0]
    tensor([0.3000, 9.0000])
    """

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        _check_bins(bins)
        check_number("bound", bound, above=0.0)
        self.bins, self.bound = bins, bound
        self.parameters = 3 * bins - 1
        self._shape = _shape(bins, -bound, bound, FixedEnds())

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the spline to every element."""
        if self.bins > 1 and suits_node(x, params):
            return spline_node(self._shape, self._composed, x, params, inverse)
        return self._composed(x, params, inverse)

    def _composed(self, x: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        sizes, raw = _numbers_first(params).split_with_sizes([2 * self.bins, self.bins - 1])
        knots, reciprocals = _bins(sizes, self.bins, -self.bound, self.bound)
        slopes = _ratios(raw) * _between(reciprocals[:-1], reciprocals[1:])
        slopes = functional.pad(slopes, [*[0, 0] * (slopes.dim() - 1), 1, 1], value=1.0)
        interval = (-self.bound, self.bound)
        return interval_spline(x, interval, knots, slopes, inverse=inverse, straight=True)


class BoundedRationalQuadraticFunction(Univariate):
    """Rational-quadratic spline that maps the interval [lower, upper] onto itself.

    Outside it continues linearly, so it is total; a base with bounds gives such rows no density.

    Parameters
    ----------
    bins
        The number of bins K; it takes 3 K + 1 numbers: K widths, K heights, K + 1 slopes.
    lower, upper
        The ends of the interval.

    Raises
    ------
    UsageError
        If there are no bins or more than 999, or ``lower < upper`` does not hold.

    Examples
    --------
    >>> spline = BoundedRationalQuadraticFunction(bins=4, lower=0.0, upper=1.0)
    >>> spline(torch.tensor([0.0, 0.3, 1.0]), torch.zeros(3, spline.parameters))[0]
    tensor([0.0000, 0.3000, 1.0000])
    """

    def __init__(self, bins: int = 8, lower: float = 0.0, upper: float = 1.0) -> None:
        _check_bins(bins)
        check_number("lower", lower)
        check_number("upper", upper, above=lower)
        self.bins, self.lower, self.upper = bins, lower, upper
        self.parameters = 3 * bins + 1
        self._shape = _shape(bins, lower, upper, FreeEnds())

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the spline to every element."""
        if suits_node(x, params):
            return spline_node(self._shape, self._composed, x, params, inverse)
        return self._composed(x, params, inverse)

    def _composed(self, x: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        sizes, raw = _numbers_first(params).split_with_sizes([2 * self.bins, self.bins + 1])
        knots, reciprocals = _bins(sizes, self.bins, self.lower, self.upper)
        # Bins at the ends are their own neighbours.
        padded = torch.cat([reciprocals[:1], reciprocals, reciprocals[-1:]])
        slopes = _ratios(raw) * _between(padded[:-1], padded[1:])
        interval = (self.lower, self.upper)
        return interval_spline(x, interval, knots, slopes, inverse=inverse, straight=False)


def wrap(x: Tensor, period: float) -> Tensor:
    """Return x with whole periods taken off, in [-period / 2, period / 2).

    Examples
    --------
    >>> wrap(torch.tensor([0.0, 5.0, -13.0]), 10.0)
    tensor([ 0., -5., -3.])
    """
    half = 0.5 * period
    wrapped = torch.remainder(x + half, period) - half
    # Values already inside stay, to the last bit; and rounding can reach the excluded end.
    wrapped = torch.where((x >= -half) & (x < half), x, wrapped)
    return torch.where(wrapped < half, wrapped, wrapped - period)


class CircularRationalQuadraticFunction(Univariate):
    """Rational-quadratic spline of a circle, followed by a rotation.

    Values are angles in [-period / 2, period / 2); others are wrapped. The slopes at the two ends are one
    parameter, so that the derivative is continuous across the seam.

    Parameters
    ----------
    bins
        The number of bins K; it takes 3 K + 1 numbers: K widths, K heights, K slopes, and the rotation.
    period
        The length of the circle.

    Raises
    ------
    UsageError
        If there are no bins or more than 999, or the period is not positive and finite.

    References
    ----------
    Rezende et al. 2020, Normalizing Flows on Tori and Spheres, section 2.1.3.
    https://arxiv.org/abs/2002.02428

    Examples
    --------
    >>> spline = CircularRationalQuadraticFunction(bins=4, period=24.0)
    >>> spline(torch.tensor([3.0, 27.0]), torch.zeros(2, spline.parameters))[0]
    tensor([3., 3.])
    """

    def __init__(self, bins: int = 8, period: float = 2.0 * math.pi) -> None:
        _check_bins(bins)
        check_number("period", period, above=0.0)
        self.bins, self.period = bins, period
        self.parameters = 3 * bins + 1
        self._shape = _shape(bins, -0.5 * period, 0.5 * period, CircularEnds())

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the spline and the rotation to every element."""
        own, rotation = params[..., :-1], params[..., -1]
        # One radian of rotation per unit of the parameter, and never more than one turn.
        turn = wrap(rotation * (self.period / (2.0 * math.pi)), self.period)
        x = wrap(x, self.period)
        if inverse:
            y, log_derivative = self._spline(wrap(x - turn, self.period), own, True)
            return wrap(y, self.period), log_derivative
        y, log_derivative = self._spline(x, own, False)
        return wrap(y + turn, self.period), log_derivative

    def _spline(self, x: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        if suits_node(x, params):
            return spline_node(self._shape, self._composed, x, params, inverse)
        return self._composed(x, params, inverse)

    def _composed(self, x: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        half = 0.5 * self.period
        sizes, raw = _numbers_first(params).split_with_sizes([2 * self.bins, self.bins])
        knots, reciprocals = _bins(sizes, self.bins, -half, half)
        slopes = _ratios(raw) * _between(reciprocals, reciprocals.roll(-1, 0))
        slopes = torch.cat([slopes[-1:], slopes])
        return interval_spline(x, (-half, half), knots, slopes, inverse=inverse, straight=False)
