"""Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, distributions, nn
from torch.distributions import Independent

from logpx.distributions.base import Distribution
from logpx.distributions.seeding import draw_rows
from logpx.errors import UsageError
from logpx.transforms.base import sum_over_event

__all__ = ["StudentT"]


class StudentT(Distribution):
    """Independent Student's t distributions, with power-law tails.

    Parameters
    ----------
    event_shape
        The shape of one x.
    degrees
        Degrees of freedom at the start; they are trained, as are location and scale.

    References
    ----------
    Bailey 1994, Polar generation of random variates with the t-distribution.

    Examples
    --------
    >>> StudentT(1, degrees=1.0).log_prob(torch.zeros(1, 1)).exp()
    tensor([0.3183], grad_fn=<ExpBackward0>)
    """

    def __init__(self, event_shape: int | Sequence[int], degrees: float = 5.0) -> None:
        super().__init__(event_shape)
        if not degrees > 0.0:
            raise UsageError(f"{degrees} degrees of freedom", fix="give a positive number")
        self.location = nn.Parameter(torch.zeros(self.event_shape))
        self.log_scale = nn.Parameter(torch.zeros(self.event_shape))
        self.log_degrees = nn.Parameter(torch.full(self.event_shape, math.log(degrees)))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        degrees = self.log_degrees.exp()
        z = (x - self.location) * torch.exp(-self.log_scale)
        # The two log-gammas nearly cancel for many degrees of freedom.
        half = 0.5 * degrees.double()
        log_gammas = (torch.lgamma(half + 0.5) - torch.lgamma(half)).to(x.dtype)
        constant = log_gammas - 0.5 * (math.log(math.pi) + self.log_degrees) - self.log_scale
        # log1p(z^2 / degrees), written so that z^2 neither overflows nor is lost next to 1.
        ratio = z.abs() / degrees.sqrt()
        one = torch.ones_like(ratio)
        small, large = torch.minimum(ratio, one), torch.maximum(ratio, one)
        tail = 2.0 * torch.log(large) + torch.log1p((small / large) ** 2)
        return sum_over_event(constant - 0.5 * (degrees + 1.0) * tail, self.event_shape)

    def torch_equivalent(self) -> torch.distributions.Distribution:
        """Return the same distribution of torch's."""
        degrees, scale = self.log_degrees.exp(), self.log_scale.exp()
        one = distributions.StudentT(degrees, self.location, scale, validate_args=False)
        return Independent(one, len(self.event_shape))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        like = self.location
        uniform = draw_rows(
            n,
            seed,
            like,
            lambda rows, generator, device: torch.rand(
                rows, 2, *self.event_shape, generator=generator, device=device, dtype=like.dtype
            ),
            width=2 * math.prod(self.event_shape),
        )
        # 1 - u lies in (0, 1], on which the radius is finite.
        log_u = torch.log1p(-uniform[:, 0])
        degrees = self.log_degrees.exp()
        radius = torch.sqrt(degrees * torch.expm1(-2.0 * log_u / degrees))
        z = radius * torch.cos(2.0 * math.pi * uniform[:, 1])
        return self.location + torch.exp(self.log_scale) * z
