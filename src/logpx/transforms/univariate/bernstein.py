"""Bernstein polynomials with increasing coefficients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.arguments import check_count, check_number
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.monotone_inverse import monotone_inverse

__all__ = ["BernsteinFunction"]


class BernsteinFunction(Univariate):
    r"""An increasing Bernstein polynomial on [-bound, bound] with linear tails.

    .. math:: f(x) = \sum_{k=0}^{n} c_k \binom{n}{k} s^k (1 - s)^{n - k}, \qquad s = \frac{x + b}{2 b},

    with :math:`c_0 < \cdots < c_n`: steps between coefficients are positive, and all equal where the
    parameters are 0, which gives the identity. Its inverse is found by Newton's method.

    Parameters
    ----------
    degree
        The degree n; it takes n + 1 numbers.
    bound
        The half-width b of the interval; outside it the function continues linearly.

    Raises
    ------
    UsageError
        If the degree is not 1 to 64, or the bound is not positive and finite.

    References
    ----------
    Ramasinghe et al. 2022, Robust normalizing flows using Bernstein-type polynomials.
    https://arxiv.org/abs/2102.03509

    Examples
    --------
    >>> function = BernsteinFunction(degree=8)
    >>> function(torch.tensor([0.3, 9.0]), torch.zeros(2, function.parameters))[0]
    tensor([0.3000, 9.0000])
    """

    # Of a step to the mean step, at least and at most, so that slopes stay within float32.
    largest_log_step = 5.0

    def __init__(self, degree: int = 16, bound: float = 5.0) -> None:
        check_count("degree", degree, most=64)
        check_number("bound", bound, above=0.0)
        self.degree, self.bound = degree, bound
        self.parameters = 1 + degree

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the function to every element."""
        shift, raw = params[..., 0], params[..., 1:]
        limit = self.largest_log_step
        # The steps relative to one that gives the identity.
        steps = torch.exp(raw / (1.0 + raw.abs() / limit))
        edges = (2.0 * self.bound / self.degree) * steps.cumsum(-1)
        # c_0 and c_n are as far from the middle as each other, but for the shift.
        first = -0.5 * edges[..., -1:]
        coefficients = torch.cat([first, first + edges], -1)

        def inside(x: Tensor) -> tuple[Tensor, Tensor]:
            s = (x + self.bound) / (2.0 * self.bound)
            return _bernstein(coefficients, s), _bernstein(steps, s).log()

        if not inverse:
            clamped = x.clamp(-self.bound, self.bound)
            y, log_slope = inside(clamped)
            return y + shift + (x - clamped) * log_slope.exp(), log_slope
        target = x - shift
        reachable = torch.maximum(torch.minimum(target, coefficients[..., -1]), coefficients[..., 0])
        y, log_slope = monotone_inverse(inside, reachable, -self.bound, self.bound, iterations=40)
        # In the tails the slope is that of the end itself, not of a place that rounds to it.
        for beyond, end, step in (
            (target >= coefficients[..., -1], self.bound, steps[..., -1]),
            (target <= coefficients[..., 0], -self.bound, steps[..., 0]),
        ):
            y = torch.where(beyond, end, y)
            log_slope = torch.where(beyond, -step.log(), log_slope)
        return y + (target - reachable) * log_slope.exp(), log_slope


def _bernstein(coefficients: Tensor, s: Tensor) -> Tensor:
    """Return a sum of Bernstein polynomials at s in [0, 1]; coefficients are the last dimension."""
    degree = coefficients.shape[-1] - 1
    orders = torch.arange(degree + 1, dtype=s.dtype, device=s.device)
    binomials = torch.tensor(
        [math.comb(degree, k) for k in range(degree + 1)], dtype=s.dtype, device=s.device
    )
    s = s.unsqueeze(-1)
    # 0 to the power 0 is 1, and so is its gradient finite.
    found: Tensor = (coefficients * binomials * s.pow(orders) * (1.0 - s).pow(degree - orders)).sum(-1)
    return found
