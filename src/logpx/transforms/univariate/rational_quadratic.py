"""The monotone rational-quadratic spline, and the function of one number built from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from logpx.errors import UsageError
from logpx.transforms.univariate.base import Univariate

__all__ = ["RationalQuadraticFunction", "rational_quadratic"]


def _gather(table: Tensor, index: Tensor) -> Tensor:
    return table.gather(-1, index.unsqueeze(-1)).squeeze(-1)


def rational_quadratic(
    x: Tensor, knots_x: Tensor, knots_y: Tensor, slopes: Tensor, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    r"""Evaluate a monotone rational-quadratic spline with linear tails.

    Inside bin k, with :math:`\xi` the relative position in it, :math:`s` its mean slope and
    :math:`d_0, d_1` the slopes at its ends,

    .. math:: y = y_k + h \, \frac{s \xi^2 + d_0 \xi (1-\xi)}{s + (d_0 + d_1 - 2 s)\, \xi (1-\xi)}.

    Outside the outermost knots the function goes on linearly with the end slopes.

    Parameters
    ----------
    x
        Any shape.
    knots_x, knots_y, slopes
        Increasing positions, increasing values and positive slopes at the knots; shape
        ``(*x.shape, knots)`` or broadcastable to it.
    inverse
        Whether to apply the inverse function.

    Returns
    -------
    y : Tensor
        Of the shape of `x`.
    log_derivative : Tensor
        Log-derivative of the direction asked for, in nats.

    References
    ----------
    Gregory and Delbourgo 1982; Durkan et al. 2019, Neural Spline Flows, equations 4 to 8.

    Examples
    --------
    >>> knots = torch.tensor([-1.0, 0.0, 1.0])
    >>> rational_quadratic(torch.tensor([0.5, 3.0]), knots, knots, torch.ones(3))
    (tensor([0.5000, 3.0000]), tensor([0., 0.]))
    """
    searched = knots_y if inverse else knots_x
    # Clamped before any arithmetic: a branch that is not taken must not produce a NaN gradient either.
    inside = torch.maximum(torch.minimum(x, searched[..., -1]), searched[..., 0])
    index = (inside.unsqueeze(-1) >= searched[..., 1:-1]).sum(-1)
    knots_x, knots_y, slopes = (t.expand(*x.shape, t.shape[-1]) for t in (knots_x, knots_y, slopes))
    left, bottom, start = _gather(knots_x, index), _gather(knots_y, index), _gather(slopes, index)
    width = _gather(knots_x, index + 1) - left
    height = _gather(knots_y, index + 1) - bottom
    end = _gather(slopes, index + 1)
    slope = height / width
    if inverse:
        # The quadratic's discriminant is a sum of squares, and each root below a ratio of sums of positive
        # terms: nothing cancels, in single precision either.
        rise = ((inside - bottom) / height).clamp(0.0, 1.0)
        fall = 1.0 - rise
        # Only the ratios of the slopes matter; as shares of their sum their squares cannot overflow.
        total = start + end + slope
        share = slope / total
        tilt = (start * fall - end * rise) / total
        root = torch.sqrt(tilt * tilt + 4.0 * share * share * rise * fall + torch.finfo(x.dtype).tiny)
        reach = tilt.abs() + root
        rising = tilt >= 0.0
        span = 2.0 * share * torch.where(rising, rise, fall)
        position = torch.where(rising, span, reach) / (reach + span)
        y = torch.addcmul(left, position, width)
    else:
        position = ((inside - left) / width).clamp(0.0, 1.0)
    rest = 1.0 - position
    mixed = position * rest
    denominator = slope * (position * position + rest * rest) + (start + end) * mixed
    if not inverse:
        y = bottom + height * (slope * position * position + start * mixed) / denominator
    numerator = end * position * position + 2.0 * slope * mixed + start * rest * rest
    log_derivative = 2.0 * (slope.log() - denominator.log()) + numerator.log()
    # Beyond the outermost knots `beyond` is the distance to them, and the position is exactly 0 or 1.
    beyond = x - inside
    edge = torch.where(beyond > 0.0, end, start)
    if inverse:
        return y + beyond / edge, -log_derivative
    return y + beyond * edge, log_derivative


class RationalQuadraticFunction(Univariate):
    """Rational-quadratic spline on [-bound, bound], the identity outside.

    Parameters
    ----------
    bins
        The number of bins K; it takes 3 K - 1 numbers: K widths, K heights, K - 1 inner slopes.
    bound
        Half the width of the interval.

    References
    ----------
    Durkan et al. 2019, Neural Spline Flows.

    Examples
    --------
    >>> spline = RationalQuadraticFunction(bins=8)
    >>> spline(torch.tensor([0.3, 9.0]), torch.zeros(2, spline.parameters))[0]
    tensor([0.3000, 9.0000])
    """

    smallest_bin = 1e-3
    smallest_slope = 1e-3
    largest_slope = 1e3

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        most = math.ceil(1.0 / self.smallest_bin) - 1
        if not (1 <= bins <= most and 0.0 < bound < math.inf):
            raise UsageError(
                f"a spline of {bins} bins on a half-width of {bound}",
                fix=f"give 1 to {most} bins and a positive bound",
            )
        self.bins, self.bound = bins, bound
        self.parameters = 3 * bins - 1

    def _knots(self, sizes: Tensor) -> Tensor:
        shares = self.smallest_bin + (1.0 - self.smallest_bin * self.bins) * torch.softmax(sizes, -1)
        inner = 2.0 * self.bound * torch.cumsum(shares[..., :-1], -1) - self.bound
        return functional.pad(functional.pad(inner, (1, 0), value=-self.bound), (0, 1), value=self.bound)

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the spline to every element."""
        widths, heights, raw = params.tensor_split([self.bins, 2 * self.bins], -1)
        # The offset makes a raw slope of 0 a slope of 1, so that zero parameters are the identity.
        offset = math.log(math.expm1(1.0 - self.smallest_slope))
        inner = self.smallest_slope + functional.softplus((raw + offset).clamp_max(self.largest_slope))
        slopes = functional.pad(inner, (1, 1), value=1.0)
        return rational_quadratic(x, self._knots(widths), self._knots(heights), slopes, inverse)
