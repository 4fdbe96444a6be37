"""The standard exponential distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Exponential as ExponentialOfTorch
from torch.distributions import Independent, constraints

from logpx.distributions.base import Distribution
from logpx.distributions.seeding import draw_rows
from logpx.transforms.base import sum_over_event
from logpx.transforms.supports import over_event

__all__ = ["Exponential"]


class Exponential(Distribution):
    """Independent exponential distributions of mean 1, a base for positive numbers.

    Parameters
    ----------
    event_shape
        The shape of one x. Below 0 the log-density is minus infinity.

    Examples
    --------
    >>> Exponential(1).log_prob(torch.tensor([[2.0], [-1.0]]))
    tensor([-2., -inf])
    """

    anchor: Tensor

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__(event_shape)
        self.register_buffer("anchor", torch.zeros(()))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        return sum_over_event((-x).masked_fill(x < 0.0, -math.inf), self.event_shape)

    def support(self, context: Tensor | None = None) -> Any:
        """Return the numbers from 0 on, as a constraint of torch."""
        return over_event(constraints.nonnegative, self.event_shape)

    def torch_equivalent(self) -> torch.distributions.Distribution:
        """Return the same distribution of torch's."""
        ones = torch.ones(self.event_shape).to(self.anchor)
        return Independent(ExponentialOfTorch(ones, validate_args=False), len(self.event_shape))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        like = self.anchor
        uniform = draw_rows(
            n,
            seed,
            like,
            lambda rows, generator, device: torch.rand(
                rows, *self.event_shape, generator=generator, device=device, dtype=like.dtype
            ),
            width=math.prod(self.event_shape),
        )
        # 1 - u lies in (0, 1].
        return -torch.log1p(-uniform)
