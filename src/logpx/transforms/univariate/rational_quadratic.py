"""The monotone rational-quadratic spline through given knots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["rational_quadratic"]


class _Ends(NamedTuple):
    """A number at the lower and at the upper end of a bin."""

    lower: Tensor
    upper: Tensor


class _Bin(NamedTuple):
    """The bin that contains each element: at its ends x, y, and the slope."""

    x: _Ends
    y: _Ends
    slope: _Ends

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the value, and the derivative as two factors, the first of which is to be squared."""
        (left, right), (bottom, top), (start, end) = self
        width, height = right - left, top - bottom
        slope = height / width
        # Distances to both ends, each from its own difference, so that nothing is lost near an end.
        position, rest = (x - left) / width, (right - x) / width
        rising = torch.addcmul(start * rest, slope, position)
        falling = torch.addcmul(end * position, slope, rest)
        rise, fall = position * rising, rest * falling
        total = rise + fall
        upper = rise > fall
        share = torch.where(upper, -fall, rise) / total
        y = torch.addcmul(torch.where(upper, top, bottom), share, height)
        steep = torch.addcmul(position * falling, rest, rising)
        return y, slope / total, steep

    def inverse(self, y: Tensor) -> Tensor:
        """Return the root of the bin's quadratic."""
        (left, right), (bottom, top), (start, end) = self
        width, height = right - left, top - bottom
        slope = height / width
        rise, fall = (y - bottom) / height, (top - y) / height
        # The quadratic's discriminant is a sum of squares, and each root below is a ratio of sums of positive
        # terms: nothing cancels. Of the slopes only the ratios matter: as shares of their sum their squares
        # cannot overflow.
        total = start + end + slope
        share = slope / total
        tilt = (start * fall - end * rise) / total
        root = torch.sqrt(tilt * tilt + 4.0 * share * share * rise * fall + torch.finfo(y.dtype).tiny)
        rising = tilt >= 0.0
        # Where branches meet, a minimum or an absolute value has a gradient of its own; a choice has none.
        reach = torch.where(rising, tilt, -tilt) + root
        span = 2.0 * share * torch.where(rising, rise, fall)
        # The distance to the nearer end, as a fraction of the width: to the left end if `near`.
        shorter = span < reach
        near = shorter == rising
        part = torch.where(shorter, span, reach) / (reach + span)
        return torch.where(near, left, right) + torch.where(near, part, -part) * width


def _aligned(table: Tensor, dims: int) -> Tensor:
    return table.reshape(len(table), *[1] * (dims + 1 - table.dim()), *table.shape[1:])


def _bins(tables: Sequence[Tensor], index: Tensor) -> _Bin:
    ends = torch.stack([index, index + 1])
    pairs = (table.expand(-1, *index.shape).gather(0, ends) for table in tables)
    return _Bin(*(_Ends(*pair.unbind(0)) for pair in pairs))


def _number(x: Tensor, edges: Tensor) -> Tensor:
    """Return the index of the bin that contains each element, given the edges between bins."""
    if edges.numel() == len(edges):
        # One spline for all elements, of which there may be many.
        return torch.searchsorted(edges.flatten(), x.contiguous(), right=True)
    return (x >= edges).sum(0)


def rational_quadratic(
    x: Tensor, knots_x: Tensor, knots_y: Tensor, slopes: Tensor, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    r"""Evaluate a monotone rational-quadratic spline with linear tails.

    Inside bin k, with :math:`\xi` the relative position in it, :math:`s` its mean slope and
    :math:`d_0, d_1` the slopes at its ends,

    .. math:: y = y_k + h \, \frac{s \xi^2 + d_0 \xi (1-\xi)}{s + (d_0 + d_1 - 2 s)\, \xi (1-\xi)}.

    Outside the outermost knots the function continues linearly with the end slopes. A round trip is as exact
    as the rounding of the value in between permits: a few units in the last place, times the slope between
    the two.

    Parameters
    ----------
    x
        Any shape.
    knots_x, knots_y, slopes
        Increasing positions, increasing values and positive slopes at the knots; shape
        ``(knots, *shape)``, with a shape that can be broadcast to that of `x`.
    inverse
        Whether to apply the inverse function.

    Returns
    -------
    y : Tensor
        Of the shape of `x`.
    log_derivative : Tensor
        Log-derivative of the chosen direction, in nats.

    References
    ----------
    Gregory and Delbourgo 1982; Durkan et al. 2019, Neural Spline Flows, equations 4 to 8.
    https://arxiv.org/abs/1906.04032

    Examples
    --------
    >>> knots = torch.tensor([-1.0, 0.0, 1.0])
    >>> rational_quadratic(torch.tensor([0.5, 3.0]), knots, knots, torch.ones(3))
    (tensor([0.5000, 3.0000]), tensor([0., 0.]))
    """
    tables = [_aligned(each, x.dim()) for each in (knots_x, knots_y, slopes)]
    searched = tables[1] if inverse else tables[0]
    # Clamped before any arithmetic: a branch that is not taken must not produce a NaN gradient either.
    # A minimum would share the gradient at the ends between x and the knots.
    inside = torch.where(x > searched[-1], searched[-1], torch.where(x < searched[0], searched[0], x))
    bins = _bins(tables, _number(inside.detach(), searched.detach()[1:-1]))
    # Beyond the outermost knots, `beyond` is the distance to them, and the position is exactly 0 or 1.
    beyond = x - inside
    edge = torch.where(beyond > 0.0, bins.slope.upper, bins.slope.lower)
    if inverse:
        root = bins.inverse(inside)
        with torch.no_grad():
            # One Newton step, so that `forward` gives back y as it rounds it. The root carries the gradient.
            value, ratio, steep = bins.forward(root)
            step = (inside - value) / (ratio * ratio * steep)
            step = torch.maximum(torch.minimum(root + step, bins.x.upper), bins.x.lower) - root
        y = root + step
        _, ratio, steep = bins.forward(y)
        return y + beyond / edge, -2.0 * ratio.log() - steep.log()
    y, ratio, steep = bins.forward(inside)
    return y + beyond * edge, 2.0 * ratio.log() + steep.log()
