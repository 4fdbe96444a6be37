"""Power-law tails: what every scale does beyond the range in which its fitted curve is trusted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["compress", "expand"]

# Beyond the limit the density falls like |v|^-(1 + TAIL_INDEX): heavy enough that log p of any finite value
# is no worse than minus tens of nats, light enough that the variance exists.
TAIL_INDEX = 3.0
# How fast (per e-fold of |v|) the slope at the limit gives way to the power law.
RATE = 4.0
# The largest magnitude either direction returns: far from overflow, and its square root squared is safe.
LARGEST = 1e300


def compress(v: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    r"""Compress standardised values beyond ``limit``; return the result and its log-derivative.

    The map is the identity within the limit L. Beyond it, with :math:`t = \log(|v| / L)`,

    .. math:: |y| = \sqrt{L^2 + 2 L^2 \tau(t)}, \qquad \tau(t) = c\,t + (1 - c)\,t / (1 + r t),

    whose derivative is continuous at L. Under a standard normal y the density of v then falls like the power
    :math:`|v|^{-(1 + c L^2)}` up to logarithms, so a row a million standard deviations away costs tens of
    nats, not :math:`10^{12}` as with a linear map.

    Parameters
    ----------
    v : Tensor
        Standardised values, any shape.
    limit : Tensor
        The limit L, a positive scalar; infinity switches the tails off.

    Returns
    -------
    y, log_derivative : Tensor
        Both of the shape of ``v``.

    Examples
    --------
    >>> y, log_derivative = compress(torch.tensor([1.0, 1e6], dtype=torch.float64), torch.tensor(6.0))
    >>> [round(number, 1) for number in y.tolist()]
    [1.0, 11.1]
    """
    v = v.clamp(-LARGEST, LARGEST)
    log_derivative = torch.zeros_like(v)
    outside = (v.abs() > limit).nonzero(as_tuple=True)
    if outside[0].numel() == 0:
        return v, log_derivative
    far = v[outside]
    weight, squared = _constants(limit)
    t = far.abs().log() - limit.log()
    damping = 1 / (1 + RATE * t)
    y = (squared + 2 * squared * t * (weight + (1 - weight) * damping)).sqrt()
    slope = weight + (1 - weight) * damping.square()
    far_derivative = squared.log() + slope.log() - y.log() - far.abs().log()
    return v.index_put(outside, y * far.sign()), log_derivative.index_put(outside, far_derivative)


def expand(y: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverse of `compress` and its log-derivative, both of the shape of ``y``."""
    y = y.clamp(-LARGEST, LARGEST)
    log_derivative = torch.zeros_like(y)
    outside = (y.abs() > limit).nonzero(as_tuple=True)
    if outside[0].numel() == 0:
        return y, log_derivative
    far = y[outside].abs()
    weight, squared = _constants(limit)
    # tau solves c r t^2 + (1 - r tau) t - tau = 0; the two forms of the root avoid cancellation.
    tau = ((far / limit - 1) * (far / limit + 1) / 2).clamp(max=LARGEST**0.5)
    b = 1 - RATE * tau
    root = (b.square() + 4 * weight * RATE * tau).sqrt()
    t = torch.where(b > 0, 2 * tau / (b.abs() + root), (root - b) / (2 * weight * RATE))
    t = torch.minimum(t, math.log(LARGEST) - limit.log())
    slope = weight + (1 - weight) / (1 + RATE * t).square()
    v = limit * t.exp()
    far_derivative = far.log() + v.log() - squared.log() - slope.log()
    return y.index_put(outside, v * y[outside].sign()), log_derivative.index_put(outside, far_derivative)


def _constants(limit: Tensor) -> tuple[Tensor, Tensor]:
    squared = limit.square()
    return (TAIL_INDEX / squared).clamp(max=1.0), squared
