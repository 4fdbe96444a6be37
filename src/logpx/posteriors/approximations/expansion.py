"""Laplace's expansion of a log-density around a mode."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions import Flow
from logpx.posteriors.approximations.families import normal
from logpx.posteriors.target.curvature import log_mass, polish, precision_factor
from logpx.posteriors.target.target import Target

__all__ = ["Expansion", "expand"]

# In standard deviations.
_APART = 0.1


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
