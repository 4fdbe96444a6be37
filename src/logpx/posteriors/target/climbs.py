"""Climbs from many points at once: a quasi-Newton method whose every step is one call of the function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["Climbs", "climb", "values_at"]

_ITERATIONS = 150
_TOLERANCE = 1e-8
_SHORTEST = 1e-10
_FAR = 1e8
_CHUNK = 2048


@dataclass(frozen=True)
class Climbs:
    """Where climbs end.

    Attributes
    ----------
    points : Tensor
        Shape ``(k, d)``.
    values : Tensor
        The log-density there, shape ``(k,)``.
    converged : Tensor
        Whether the gradient vanished, booleans of shape ``(k,)``.
    """

    points: Tensor
    values: Tensor
    converged: Tensor


@torch.no_grad()
def values_at(target: Target, points: Tensor) -> Tensor:
    """Return the log-density at points ``(n, d)``; minus infinity where it is undefined or fails."""
    if not len(points):
        return points.new_zeros(0)
    if len(points) > _CHUNK:
        return torch.cat([values_at(target, part) for part in torch.split(points, _CHUNK)])
    try:
        values = target.log_prob(points)
    except Exception:
        # Far out, a user's function may fail at a single point: find it.
        if len(points) == 1:
            return points.new_full((1,), -math.inf)
        return torch.cat([values_at(target, half) for half in points.chunk(2)])
    return torch.where(values < math.inf, values, -math.inf)


def _slopes_at(target: Target, points: Tensor) -> tuple[Tensor, Tensor]:
    if not len(points):
        return points.new_zeros(0), points
    try:
        values, slopes = target.value_and_gradient(points)
    except Exception:
        if len(points) == 1:
            return points.new_full((1,), -math.inf), torch.zeros_like(points)
        parts = [_slopes_at(target, half) for half in points.chunk(2)]
        return torch.cat([value for value, _ in parts]), torch.cat([slope for _, slope in parts])
    good = values.isfinite() & slopes.isfinite().all(1)
    return torch.where(good, values, -math.inf), torch.where(good[:, None], slopes, 0.0)


def climb(target: Target, starts: Tensor) -> Climbs:
    """Climb from points ``(k, d)`` with finite log-density by BFGS, each with steps of its own length.

    A step that does not gain enough is halved in the next call, so that no climb waits for another.

    References
    ----------
    Nocedal and Wright 2006, Numerical optimization, algorithm 6.1 (BFGS) and 3.1 (backtracking).
    """
    count = len(starts)
    width = target.hints.width
    identity = width.square().diag()
    points = starts.detach().clone()
    values, slopes = _slopes_at(target, points)
    inverse = identity / (slopes * width).norm(dim=1).clamp_min(1.0)[:, None, None]
    length = values.new_ones(count)
    learned = torch.zeros(count, dtype=torch.bool)
    converged = torch.zeros(count, dtype=torch.bool)
    active = values.isfinite()
    for _ in range(_ITERATIONS):
        direction = (inverse @ slopes[..., None])[..., 0]
        promised = (slopes * direction).sum(1)
        converged |= active & (promised < _TOLERANCE)
        active &= ~converged
        moving = active.nonzero()[:, 0]
        if not len(moving):
            break
        step = length[moving, None] * direction[moving]
        trial = points[moving] + step
        try:
            found, steep = _slopes_at(target, trial)
        except TimeIsUpError:
            break
        enough = found >= values[moving] + 1e-4 * length[moving] * promised[moving]
        kept = moving[enough]
        change = slopes[kept] - steep[enough]
        taken = step[enough]
        curvature = (taken * change).sum(1)
        curved = curvature > 1e-12 * taken.norm(dim=1) * change.norm(dim=1)
        # No curvature to learn from: take longer steps.
        inverse[kept[~curved]] *= 4.0
        first = curved & ~learned[kept]
        scale = curvature[first] / (width * change[first]).square().sum(1)
        inverse[kept[first]] = scale[:, None, None] * identity
        learned[kept[curved]] = True
        inverse[kept[curved]] = _updated(
            inverse[kept[curved]], taken[curved], change[curved], curvature[curved]
        )
        points[kept], values[kept], slopes[kept] = trial[enough], found[enough], steep[enough]
        length[kept] = 1.0
        refused = moving[~enough]
        length[refused] *= 0.3
        # Too short to gain anything: the end, up to rounding.
        active[refused] &= length[refused] > _SHORTEST
        active &= (points / width).abs().amax(1) < _FAR
    return Climbs(points, values, converged)


def _updated(inverse: Tensor, step: Tensor, change: Tensor, curvature: Tensor) -> Tensor:
    """Return the inverse Hessians ``(k, d, d)`` after steps and changes of the gradient ``(k, d)``."""
    image = (inverse @ change[..., None])[..., 0]
    factor = (1.0 + (change * image).sum(1) / curvature) / curvature
    mixed = torch.einsum("ki,kj->kij", image, step) / curvature[:, None, None]
    outer = torch.einsum("ki,kj->kij", step, step)
    return inverse - mixed - mixed.mT + factor[:, None, None] * outer
