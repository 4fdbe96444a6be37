"""The uniform distribution on a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions
from torch.distributions import Independent, constraints

from logpx.distributions.base import Distribution
from logpx.distributions.seeding import draw_rows
from logpx.errors import UsageError
from logpx.transforms.base import sum_over_event
from logpx.transforms.supports import over_event

__all__ = ["Uniform"]


class Uniform(Distribution):
    """Independent uniform distributions on [lower, upper].

    Parameters
    ----------
    event_shape
        The shape of one x.
    lower, upper
        The ends of every element's interval, outside which the log-density is minus infinity.

    Raises
    ------
    UsageError
        If ``lower < upper`` does not hold, or the interval is infinite.

    Examples
    --------
    >>> Uniform(1, 0.0, 4.0).log_prob(torch.tensor([[1.0], [5.0]]))
    tensor([-1.3863,    -inf])
    """

    anchor: Tensor

    def __init__(self, event_shape: int | Sequence[int], lower: float = 0.0, upper: float = 1.0) -> None:
        super().__init__(event_shape)
        if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
            raise UsageError(f"a uniform distribution on [{lower}, {upper}]", fix="give finite lower < upper")
        self.lower, self.upper = lower, upper
        self.register_buffer("anchor", torch.zeros(()))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        outside = (x < self.lower) | (x > self.upper)
        # Adding 0 x keeps the result attached to x for gradients.
        values = (0.0 * x - math.log(self.upper - self.lower)).masked_fill(outside, -math.inf)
        return sum_over_event(values, self.event_shape)

    def support(self, context: Tensor | None = None) -> Any:
        """Return the box, as a constraint of torch."""
        box: Any = constraints.interval
        return over_event(box(self.lower, self.upper), self.event_shape)

    def torch_equivalent(self) -> torch.distributions.Distribution:
        """Return the same distribution of torch's."""
        low, high = (torch.full(self.event_shape, end).to(self.anchor) for end in (self.lower, self.upper))
        return Independent(distributions.Uniform(low, high, validate_args=False), len(self.event_shape))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        like = self.anchor
        noise = draw_rows(
            n,
            seed,
            like,
            lambda rows, generator, device: torch.rand(
                rows, *self.event_shape, generator=generator, device=device, dtype=like.dtype
            ),
            width=math.prod(self.event_shape),
        )
        # Rounding can reach beyond the ends.
        return (self.lower + (self.upper - self.lower) * noise).clamp(self.lower, self.upper)
