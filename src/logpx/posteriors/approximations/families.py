"""Distributions that approximate a posterior: noise, and maps from it to the posterior's units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from logpx import flows
from logpx.distributions import Distribution, Flow, StandardNormal
from logpx.distributions.seeding import draw_rows, seeded
from logpx.errors import DivergedError
from logpx.transforms import Affine, TriangularAffine

__all__ = ["LowRankNormal", "SphericalT", "flow_of", "full_rank", "mean_field", "normal", "units_of"]


def units_of(shift: Tensor, factor: Tensor) -> TriangularAffine:
    """Return a fixed map from a posterior to units in which it is roughly standard normal, in float64.

    Parameters
    ----------
    shift, factor
        The posterior's approximate mean ``(d,)``, and the Cholesky factor ``(d, d)`` of its approximate
        covariance.

    Raises
    ------
    DivergedError
        If they are not finite, or a deviation is 0.
    """
    if not bool(shift.isfinite().all() & factor.isfinite().all() & (factor.diagonal() > 0.0).all()):
        raise DivergedError(
            "there is no normal distribution to start from: a mean or a deviation is not finite, or is 0",
            fix="is the density improper, or its scale far from 1? bound the parameters, or change units",
        )
    return TriangularAffine.of(shift.double(), factor.double()).requires_grad_(False)


def normal(mean: Tensor, factor: Tensor) -> Flow:
    """Return the normal distribution with a mean ``(d,)`` and a Cholesky factor ``(d, d)``, fixed."""
    return Flow(StandardNormal(len(mean)).double(), units_of(mean, factor))


def mean_field(size: int) -> Flow:
    """Return a normal distribution with independent dimensions, initially standard."""
    return Flow(StandardNormal(size), Affine(size)).double()


def full_rank(size: int) -> Flow:
    """Return a normal distribution with a full covariance, initially standard."""
    return Flow(StandardNormal(size), TriangularAffine(size)).double()


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
        # Not zero: there W has no gradient.
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
        size = rank + len(self.mean)

        def draw(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            noise = torch.randn(rows, size, generator=generator, device=device, dtype=torch.float64)
            common, own = torch.split(noise, [rank, len(self.mean)], 1)
            drawn: Tensor = self.mean + common @ self.loadings.mT + own * self.log_scale.exp()
            return drawn

        return draw_rows(n, seed, self.mean, draw, width=size)


class SphericalT(Distribution):
    r"""Student's t distribution of a vector, the same in all directions.

    Parameters
    ----------
    size
        The number of dimensions d.
    degrees
        Degrees of freedom.
    scale
        The factor that multiplies draws of unit scale.

    References
    ----------
    Kotz and Nadarajah 2004, Multivariate t distributions and their applications.

    Examples
    --------
    >>> SphericalT(2, degrees=2.0).log_prob(torch.zeros(1, 2)).exp()  # 1 / (2 π)
    tensor([0.1592])
    """

    degrees: Tensor
    scale: Tensor

    def __init__(self, size: int, degrees: float, scale: float = 1.0) -> None:
        super().__init__(size)
        self.register_buffer("degrees", torch.tensor(degrees))
        self.register_buffer("scale", torch.tensor(scale))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        size, degrees = self.event_shape[0], self.degrees
        constant = torch.lgamma(0.5 * (degrees + size)) - torch.lgamma(0.5 * degrees)
        constant = constant - 0.5 * size * (degrees * math.pi).log() - size * self.scale.log()
        return constant - 0.5 * (degrees + size) * torch.log1p((x / self.scale).square().sum(-1) / degrees)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, d)``."""
        size, degrees = self.event_shape[0], self.degrees

        def draw(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            noise = torch.randn(rows, size, generator=generator, device=device, dtype=degrees.dtype)
            half = (0.5 * degrees).expand(rows, 1).contiguous()
            spread = torch._standard_gamma(half, generator=generator) / half
            return self.scale * noise / spread.sqrt()

        return draw_rows(n, seed, degrees, draw, width=size)


def flow_of(size: int, layers: int = 8, hidden: tuple[int, ...] = (32, 32)) -> Distribution:
    """Return RealNVP, initially the standard normal distribution; in one dimension, a spline flow."""
    build: Callable[[], Distribution] = (
        (lambda: flows.NSF(1, autoregressive=True, layers=2, hidden=hidden))
        if size == 1
        else (lambda: flows.RealNVP(size, layers, hidden))
    )
    with seeded(0):
        return build()
