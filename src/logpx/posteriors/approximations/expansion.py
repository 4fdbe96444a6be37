"""Laplace's expansion of a log-density around a mode."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions import Flow
from logpx.posteriors.approximations.families import normal
from logpx.posteriors.target.curvature import hessians, log_mass, polish, precision_factor
from logpx.posteriors.target.target import Target

__all__ = ["Expansion", "expand", "expand_all"]

# In standard deviations.
_APART = 0.1
_LEAST_CURVATURE = 1e-12
_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Expansion:
    """The normal distribution with the curvature at a mode.

    Attributes
    ----------
    mode : Tensor
        Shape ``(d,)``.
    factor : Tensor
        The lower triangular Cholesky factor of the inverse curvature, shape ``(d, d)``.
    log_mass : float
        The log of the integral around the mode, in nats.
    """

    mode: Tensor
    factor: Tensor
    log_mass: float

    @property
    def normal(self) -> Flow:
        """The normal distribution."""
        return normal(self.mode, self.factor)

    def distances(self, points: Tensor) -> Tensor:
        """Return how far points ``(n, d)`` are from the mode, in standard deviations, shape ``(n,)``."""
        steps = torch.linalg.solve_triangular(self.factor, (points - self.mode).mT, upper=False)
        found: Tensor = steps.norm(dim=0)
        return found

    def is_apart_from(self, other: Expansion) -> bool:
        """Return whether another mode is a different one."""
        return float(self.distances(other.mode[None])[0]) > _APART


def expand(target: Target, point: Tensor) -> Expansion:
    """Return the expansion around the mode near a point ``(d,)``.

    Raises
    ------
    DivergedError
        If the curvature there is not that of a mode; the eigenvalue is named.
    """
    mode = polish(target, point)
    precision = precision_factor(target, mode)
    inverse = torch.linalg.inv(precision)
    factor = torch.linalg.cholesky(inverse.mT @ inverse)
    return Expansion(mode, factor, log_mass(target, mode, precision))


@torch.no_grad()
def expand_all(target: Target, points: Tensor) -> list[Expansion]:
    """Return the expansions at those of several points ``(k, d)`` that are modes.

    The points are taken for modes as they are: climbs end close enough.
    """
    if not len(points):
        return []
    with torch.enable_grad():
        precisions = -hessians(target, points)
    factors, failed = torch.linalg.cholesky_ex(precisions)
    least = torch.linalg.eigvalsh(torch.where(precisions.isfinite(), precisions, 0.0))
    proper = (failed == 0) & (least[:, 0] > _LEAST_CURVATURE * least[:, -1])
    values = target.log_prob(points)
    found = []
    for place in proper.nonzero()[:, 0].tolist():
        inverse = torch.linalg.inv(factors[place])
        factor = torch.linalg.cholesky(inverse.mT @ inverse)
        log_mass = values[place] + 0.5 * len(factor) * _LOG_TWO_PI + factor.diagonal().log().sum()
        found.append(Expansion(points[place], factor, float(log_mass)))
    return found
