"""Distributions to fit by reverse KL, in units in which the start is about standard normal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from logpx import flows
from logpx.distributions import DiagonalNormal, Distribution, FullNormal
from logpx.distributions.seeding import draw_rows

__all__ = ["LowRankNormal", "flow_of", "full_rank", "mean_field"]


def mean_field(size: int) -> Distribution:
    """Return a normal distribution with independent dimensions, standard at the start."""
    return DiagonalNormal(size).double()


def full_rank(size: int) -> Distribution:
    """Return a normal distribution with a full covariance, standard at the start."""
    return FullNormal(size).double()


class LowRankNormal(Distribution):
    """A normal distribution with the covariance diag(s²) + W Wᵀ.

    Parameters
    ----------
    size
        The number of dimensions d.
    rank
        The number of columns of W.
    """

    def __init__(self, size: int, rank: int) -> None:
        super().__init__(size)
        generator = torch.Generator().manual_seed(0)
        self.mean = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        # Not zero, where W has no gradient.
        self.loadings = nn.Parameter(0.1 * torch.randn(size, rank, generator=generator, dtype=torch.float64))

    def _torch(self) -> Any:
        variances = (2.0 * self.log_scale).exp()
        return torch.distributions.LowRankMultivariateNormal(
            self.mean, self.loadings, variances, validate_args=False
        )

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        found: Tensor = self._torch().log_prob(x)
        return found

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, d)``."""
        rank = self.loadings.shape[1]

        def draw(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            size = rank + len(self.mean)
            noise = torch.randn(rows, size, generator=generator, device=device, dtype=torch.float64)
            common, own = torch.split(noise, [rank, len(self.mean)], 1)
            drawn: Tensor = self.mean + common @ self.loadings.mT + own * self.log_scale.exp()
            return drawn

        return draw_rows(n, seed, self.mean, draw)


def flow_of(size: int, layers: int = 8, hidden: tuple[int, ...] = (32, 32)) -> Distribution:
    """Return RealNVP, which starts as the standard normal distribution; for one dimension a spline flow."""
    build: Callable[[], Distribution] = (
        (lambda: flows.NSF(1, autoregressive=True, layers=2, hidden=hidden))
        if size == 1
        else (lambda: flows.RealNVP(size, layers, hidden))
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()
