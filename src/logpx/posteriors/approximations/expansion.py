"""Laplace's expansion of a log-density around a mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from logpx.distributions import Flow
from logpx.errors import DivergedError
from logpx.posteriors.approximations.families import normal
from logpx.posteriors.target.climbs import values_at
from logpx.posteriors.target.curvature import at_least_uniform, hessians, log_mass, polish, precision_factor
from logpx.posteriors.target.target import Target

__all__ = ["Expansion", "expand", "expand_all", "explained_by"]

# In standard deviations.
_APART = 0.1
_LEAST_CURVATURE = 1e-12
_DRAWS = 32
# Of what a Newton step promises, in nats.
_ARRIVED = 1e-6
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

    Points that Newton's method would move go there first. Where a few draws from the curvature show less mass
    than it promises, as on an almost flat stretch, theirs counts.
    """
    if not len(points):
        return []
    with torch.enable_grad():
        precisions = at_least_uniform(target, -hessians(target, points))
        _, slopes = target.value_and_gradient(points)
    factors, failed = torch.linalg.cholesky_ex(precisions)
    width = target.hints.width
    scaled = precisions * width * width[:, None]
    least = torch.linalg.eigvalsh(torch.where(scaled.isfinite(), scaled, 0.0))
    proper = (failed == 0) & (least[:, 0] > _LEAST_CURVATURE * least[:, -1])
    steps = torch.cholesky_solve(slopes[..., None], torch.where(proper[:, None, None], factors, 1.0))[..., 0]
    arrived = (slopes * steps).sum(1) < _ARRIVED
    values = target.log_prob(points)
    found = []
    for place in proper.nonzero()[:, 0].tolist():
        if not bool(arrived[place]):
            with suppress(DivergedError), torch.enable_grad():
                found.append(expand(target, points[place]))
            continue
        inverse = torch.linalg.inv(factors[place])
        factor = torch.linalg.cholesky(inverse.mT @ inverse)
        log_mass = values[place] + 0.5 * len(factor) * _LOG_TWO_PI + factor.diagonal().log().sum()
        found.append(Expansion(points[place], factor, float(log_mass)))
    return _checked(target, found)


def _checked(target: Target, found: Sequence[Expansion]) -> list[Expansion]:
    """Return expansions with no more mass than draws from them show."""
    if not found:
        return []
    size = len(found[0].mode)
    noise = torch.randn(_DRAWS, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.stack([each.mode + noise @ each.factor.mT for each in found])
    values = values_at(target, points.flatten(0, 1)).view(len(found), _DRAWS)
    shapes = -0.5 * noise.square().sum(1) - 0.5 * size * _LOG_TWO_PI
    checked = []
    for each, own in zip(found, values, strict=True):
        log_weights = own - shapes + each.factor.diagonal().log().sum()
        shown = float(torch.logsumexp(log_weights, 0)) - math.log(_DRAWS)
        checked.append(replace(each, log_mass=min(each.log_mass, shown)))
    return checked


def explained_by(modes: Sequence[Expansion], points: Tensor) -> Tensor:
    """Return the log-density of the modes' normal distributions, each with its mass, shape ``(n,)``."""
    each = []
    for mode in modes:
        log_scale = mode.factor.diagonal().log().sum() + 0.5 * points.shape[1] * _LOG_TWO_PI
        each.append(mode.log_mass - log_scale - 0.5 * mode.distances(points).square())
    return torch.logsumexp(torch.stack(each), 0)
