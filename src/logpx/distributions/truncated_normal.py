"""The standard normal distribution on an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from logpx.arguments import check_number
from logpx.distributions.base import Distribution
from logpx.distributions.seeding import draw_rows
from logpx.errors import UsageError
from logpx.transforms.base import sum_over_event
from logpx.transforms.supports import over_event

__all__ = ["TruncatedNormal"]

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
# Further out an end holds no mass in double precision.
_FARTHEST = 37.0


class TruncatedNormal(Distribution):
    """Independent standard normal distributions, given that they lie on [lower, upper].

    Parameters
    ----------
    event_shape
        The shape of one x.
    lower, upper
        The ends of every element's interval, outside which the log-density is minus infinity.

    Raises
    ------
    UsageError
        If ``lower < upper`` does not hold, or the interval lies more than 37 from 0, where no mass is.

    Examples
    --------
    >>> TruncatedNormal(1, 0.0, 2.0).log_prob(torch.tensor([[1.0], [3.0]]))
    tensor([-0.6792,    -inf])
    """

    anchor: Tensor

    def __init__(self, event_shape: int | Sequence[int], lower: float = -2.0, upper: float = 2.0) -> None:
        super().__init__(event_shape)
        for name, end in (("lower", lower), ("upper", upper)):
            if end not in (-math.inf, math.inf):
                check_number(name, end)
        if not lower < upper or lower > _FARTHEST or upper < -_FARTHEST:
            raise UsageError(
                f"a normal distribution on [{lower}, {upper}]",
                fix=f"give lower < upper, not both beyond {_FARTHEST:g} from 0",
            )
        self.lower, self.upper = lower, upper
        # The probabilities of the lower tail are exact near 0: an interval above 0 is turned around.
        self._turned = lower > 0.0
        ends = (-upper, -lower) if self._turned else (lower, upper)
        # By Python's own numbers, since a skeleton of a model has no tensors.
        below, above = (0.5 * math.erfc(-end / math.sqrt(2.0)) for end in ends)
        self._below, self._mass = below, above - below
        self.register_buffer("anchor", torch.zeros(()))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        values = -0.5 * x * x - _HALF_LOG_TWO_PI - math.log(self._mass)
        outside = (x < self.lower) | (x > self.upper)
        return sum_over_event(values.masked_fill(outside, -math.inf), self.event_shape)

    def support(self, context: Tensor | None = None) -> Any:
        """Return the box, as a constraint of torch."""
        box: Any = constraints.interval
        return over_event(box(self.lower, self.upper), self.event_shape)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        like = self.anchor
        uniform = draw_rows(
            n,
            seed,
            like,
            lambda rows, generator, device: torch.rand(
                rows, *self.event_shape, generator=generator, device=device, dtype=torch.float64
            ),
            width=math.prod(self.event_shape),
        )
        drawn = torch.special.ndtri(self._below + self._mass * uniform).to(like.dtype)
        # Rounding can reach beyond the ends.
        turned: Tensor = -drawn if self._turned else drawn
        return turned.clamp(self.lower, self.upper)
