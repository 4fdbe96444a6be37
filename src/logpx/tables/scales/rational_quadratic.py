"""The monotone rational-quadratic spline through fixed knots, in one dimension, with linear tails."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["spline", "spline_inverse"]


def spline(x: Tensor, knots: Tensor, heights: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spline's value and the logarithm of its slope.

    The interpolant is that of Gregory and Delbourgo (1982), "Piecewise rational quadratic interpolation to
    monotonic data".

    Parameters
    ----------
    x : Tensor of shape (n,)
        Arguments; beyond the outermost knots the spline is linear.
    knots, heights, slopes : Tensor of shape (K,)
        Strictly increasing abscissae and ordinates, and positive derivatives.

    Examples
    --------
    >>> knots = torch.tensor([0.0, 1.0, 3.0])
    >>> value, log_slope = spline(torch.tensor([1.0, 4.0]), knots, 2 * knots, torch.full((3,), 2.0))
    >>> value.tolist()
    [2.0, 8.0]
    """
    left, right = _bin(x, knots)
    width = knots[right] - knots[left]
    rise = heights[right] - heights[left]
    d0, d1 = slopes[left], slopes[right]
    secant = rise / width
    # The argument is clamped into its bin first, so that the tails never reach the rational function.
    t = ((x - knots[left]) / width).clamp(0.0, 1.0)
    s = 1 - t
    denominator = secant + (d0 + d1 - 2 * secant) * t * s
    value = heights[left] + rise * t * (secant * t + d0 * s) / denominator
    slope = (secant / denominator).square() * (d1 * t.square() + 2 * secant * t * s + d0 * s.square())
    below, above = x < knots[0], x > knots[-1]
    value = torch.where(below, heights[0] + slopes[0] * (x - knots[0]), value)
    value = torch.where(above, heights[-1] + slopes[-1] * (x - knots[-1]), value)
    return value, slope.log()


def spline_inverse(y: Tensor, knots: Tensor, heights: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the argument at which the spline has the value ``y``, and the log-slope of the inverse."""
    left, right = _bin(y, heights)
    width = knots[right] - knots[left]
    rise = heights[right] - heights[left]
    d0, d1 = slopes[left], slopes[right]
    secant = rise / width
    r = ((y - heights[left]) / rise).clamp(0.0, 1.0)
    bend = d0 + d1 - 2 * secant
    # a t^2 + b t + c = 0; the root is written so that nothing cancels, and the discriminant cannot dip
    # below 0.
    a = secant - d0 + r * bend
    b = d0 - r * bend
    c = -secant * r
    t = (-2 * c / (b + (b.square() - 4 * a * c).clamp(min=0.0).sqrt())).clamp(0.0, 1.0)
    s = 1 - t
    denominator = secant + bend * t * s
    slope = (secant / denominator).square() * (d1 * t.square() + 2 * secant * t * s + d0 * s.square())
    # One Newton step in the bin takes out what rounding the quadratic's coefficients put in.
    t = (t - (t * (secant * t + d0 * s) / denominator - r) * secant / slope).clamp(0.0, 1.0)
    x = knots[left] + width * t
    below, above = y < heights[0], y > heights[-1]
    x = torch.where(below, knots[0] + (y - heights[0]) / slopes[0], x)
    x = torch.where(above, knots[-1] + (y - heights[-1]) / slopes[-1], x)
    return x, -slope.log()


def _bin(x: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    left = (torch.searchsorted(edges, x.detach().contiguous(), right=True) - 1).clamp(0, len(edges) - 2)
    return left, left + 1
