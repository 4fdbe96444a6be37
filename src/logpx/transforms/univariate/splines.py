"""Rational-quadratic splines as functions of one number: on the line, on an interval, on a circle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.arguments import check_count, check_number
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.nodes import suits_node
from logpx.transforms.univariate.rational_quadratic import rational_quadratic
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


def _bins(raw: Tensor, bins: int, lower: float, upper: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the knots, first of x and then of y, and the mean slopes of the bins between them."""
    raw = raw.reshape(2, bins, *raw.shape[1:])
    # The shares of the interval that the bins take up; they add up to 1.
    # torch's own softmax takes several times as long for so few numbers.
    weights = torch.exp(_SHARPNESS * (raw - raw.detach().amax(1, keepdim=True)))
    common = _common(bins)
    shares = weights * ((1.0 - common) / weights.sum(1, keepdim=True)) + common / bins
    inner = torch.cumsum(shares[:, :-1], 1) * (upper - lower) + lower
    ends = torch.full_like(shares[:, :1], lower), torch.full_like(shares[:, :1], upper)
    knots_x, knots_y = torch.cat([ends[0], inner, ends[1]], 1).unbind(0)
    widths, heights = shares.unbind(0)
    return knots_x, knots_y, heights / widths


def _ratios(raw: Tensor) -> Tensor:
    """Return the factors by which slopes differ from those that their neighbouring bins suggest."""
    bound = _LARGEST_LOG_RATIO / _SHARPNESS
    return torch.exp(_SHARPNESS * raw / (1.0 + raw.abs() * (1.0 / bound)))


def _between(slopes: Tensor, following: Tensor) -> Tensor:
    """Return the harmonic mean of the mean slopes of neighbours: with it a flat bin is nowhere flatter."""
    return 2.0 * slopes * following / (slopes + following)


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
        sizes, raw = torch.split(_numbers_first(params), [2 * self.bins, self.bins - 1])
        knots_x, knots_y, means = _bins(sizes, self.bins, -self.bound, self.bound)
        slopes = _ratios(raw) * _between(means[:-1], means[1:])
        end = torch.ones_like(means[:1])
        slopes = torch.cat([end, slopes, end])
        return rational_quadratic(x, knots_x, knots_y, slopes, inverse)


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
        sizes, raw = torch.split(_numbers_first(params), [2 * self.bins, self.bins + 1])
        knots_x, knots_y, means = _bins(sizes, self.bins, self.lower, self.upper)
        inner = _between(means[:-1], means[1:])
        suggested = torch.cat([means[:1], inner, means[-1:]])
        slopes = _ratios(raw) * suggested
        return rational_quadratic(x, knots_x, knots_y, slopes, inverse)


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
        sizes, raw = torch.split(_numbers_first(params), [2 * self.bins, self.bins])
        knots_x, knots_y, means = _bins(sizes, self.bins, -half, half)
        slopes = _ratios(raw) * _between(means, means.roll(-1, 0))
        slopes = torch.cat([slopes[-1:], slopes])
        return rational_quadratic(x, knots_x, knots_y, slopes, inverse)
