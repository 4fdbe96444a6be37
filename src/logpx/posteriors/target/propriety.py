"""Whether a log-density falls in every direction, as it must to have a finite integral."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.errors import DivergedError
from logpx.posteriors.target.climbs import climb, values_at
from logpx.posteriors.target.curvature import hessian
from logpx.posteriors.target.target import Target

__all__ = ["check_proper"]

_DEVIATIONS = 1e6
_AWAY = 1e3
_FAR = 1e12
_FLAT = 1e-12
_LINES = 3
_STEPS_BACK = 8
_NEARBY = (1e-6, 1e-4)
_ALMOST = 0.99
_ALIKE = 1.2
_RAYS = 8
_ASIDE = (0.1, 0.03, 0.01, 0.003)
_DISTANCES = (1.0, 1e4, 1e8, 1e12)
_ABOUT = 1.05
_EXACTLY = 1e-4
_SHOWN = 6
_COPIES = 32
# Where a density has fallen by more nats than this, it is not periodic with data that matter.
_MOST_BELOW = 1e5
_IMPROPER = "is it improper, or is its sign wrong? bound the parameters, or give them a prior"


@torch.no_grad()
def check_proper(target: Target, point: Tensor) -> None:
    """Check a log-density far out from a point such as a mode, and near the point for a pole.

    The density has to fall along the axes of the curvature; in random directions it has to fall faster than
    the distance to the power of −d, and near a pole it must rise more slowly than that. A density that passes
    may still be improper elsewhere.

    Parameters
    ----------
    target
        The log-density.
    point
        Shape ``(d,)``.

    Raises
    ------
    DivergedError
        If it does not fall in a direction, or rises too fast; the place is named.
    """
    with torch.enable_grad():
        curvature = hessian(target, point)
    if not bool(curvature.isfinite().all()):
        # The point is on a spike: the curvature gives no scale.
        curvature = torch.eye(target.size, dtype=point.dtype)
    else:
        _check_pole(target, point)
    values, axes = torch.linalg.eigh(curvature)
    size = values.abs()
    flat = size <= _FLAT * size.max()
    # A flat direction has no known scale; that of a spike says nothing about its surroundings.
    scaled = (_DEVIATIONS * size.clamp_min(1e-300).rsqrt()).clamp_min(_AWAY)
    distance = torch.where(flat, _FAR, scaled) * (1.0 + point.abs().max())
    directions, distances = torch.cat([axes.mT, -axes.mT]), torch.cat([distance, distance])
    _check_axes(target, point, directions, distances)
    _check_copies(target, point, directions, distances)
    _check_rays(target, point, axes * torch.where(flat, 1.0, size.clamp_min(1e-300).rsqrt()))


def _check_axes(target: Target, point: Tensor, directions: Tensor, distance: Tensor) -> None:
    # Several lines through random points: a single one may run along a spike that has no mass.
    noise = torch.randn(_LINES, len(point), generator=_generator(), dtype=point.dtype)
    near = torch.cat([point[None], point + noise])
    here = target.log_prob(near)
    there = _far_out(target, near[:, None] + distance[:, None] * directions)
    for _ in range(_STEPS_BACK):
        endless = (there == math.inf).any(0)
        if not bool(endless.any()):
            break
        # Near the limits of floating point, where small numbers become 0, a density may turn into a pole.
        distance = torch.where(endless, 0.1 * distance, distance)
        there = _far_out(target, near[:, None] + distance[:, None] * directions)
    still = (there > here[:, None] - math.log(_AWAY)).all(0)
    if bool(still.any()):
        index = int(still.nonzero()[0])
        raise DivergedError(
            f"log_density does not fall: it is {float(here[0]):.6g} at {target.describe(point)} and "
            f"{float(there[0, index]):.6g} at distance {float(distance[index]):.3g} from there along "
            f"{_shown(directions[index])}, so that its integral is not finite",
            fix=_IMPROPER,
        )


def _check_copies(target: Target, point: Tensor, directions: Tensor, distance: Tensor) -> None:
    # A periodic density is high again and again: climbs from far out then end far out, and as high.
    far = (point + distance[:, None] * directions)[:_COPIES]
    here, there = target.log_prob(point[None])[0], values_at(target, far)
    starts = (there > here - _MOST_BELOW).nonzero()[:, 0]
    ends = climb(target, far[starts])
    away = (ends.points - point).norm(dim=1) > 0.5 * distance[starts]
    copies = away & (ends.values > here - math.log(_AWAY))
    if bool(copies.any()):
        index = int(copies.nonzero()[0])
        raise DivergedError(
            f"log_density does not fall: it is {float(here):.6g} at {target.describe(point)} and "
            f"{float(ends.values[index]):.6g} far away at {target.describe(ends.points[index])}, so that its "
            "integral is not finite",
            fix="is it periodic? take Circular(lower, upper) for an angle, or give it a prior",
        )


def _check_rays(target: Target, point: Tensor, scales: Tensor) -> None:
    # In polar coordinates the integral along almost every ray has to be finite; products of heavy tails fall
    # slowly only along their axes.
    noise = torch.randn(_RAYS, len(point), generator=_generator(), dtype=point.dtype)
    rays = noise @ scales.mT * (1.0 + point.abs().max())
    if bool(point.any()):
        # Also near the direction of the climb, in case it has no end.
        aside = torch.tensor(_ASIDE, dtype=point.dtype)[:, None] * noise[: len(_ASIDE)]
        climbed = point + point.norm() * aside
        # A mode that is almost at 0 gives a direction, but no length.
        deviations = torch.linalg.solve(scales, climbed.mT).norm(dim=0)
        rays = torch.cat([climbed / deviations.clamp_max(1.0)[:, None], rays])
    distances = torch.tensor(_DISTANCES, dtype=point.dtype)
    far = point + distances[:, None, None] * rays
    values = _far_out(target, far)
    powers = -values.diff(dim=0) / distances.log().diff()[:, None]
    # The power of a density still changes before its tails; one that falls fast and then stays constant has
    # reached the limits of floating point.
    steady = (powers[1] - powers[2]).abs() <= _EXACTLY * target.size
    slow = steady & (powers[0] <= _ABOUT * target.size) & (powers[2] <= (1.0 + _EXACTLY) * target.size)
    if bool(slow.any()):
        index = int(slow.nonzero()[0])
        raise DivergedError(
            f"log_density falls too slowly: far from {target.describe(point)} along {_shown(rays[index])} it "
            f"is {float(powers[-1, index]) + 0.0:.3g} times minus the log of the distance, where more than "
            f"{target.size} times is needed for a finite integral",
            fix=_IMPROPER,
        )


def _far_out(target: Target, points: Tensor) -> Tensor:
    """Return the log-density at points of shape ``(k, n, d)``; all NaN if that fails."""
    try:
        return target.log_prob(points.flatten(0, 1)).view(points.shape[:2])
    except Exception:
        # An equation solver, say, may fail this far from the density: that proves nothing.
        return points.new_full(points.shape[:2], math.nan)


def _shown(direction: Tensor) -> str:
    along = ", ".join(f"{float(entry):.3g}" for entry in direction[:_SHOWN] / direction.norm())
    return f"({along}{', ...' if len(direction) > _SHOWN else ''})"


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _check_pole(target: Target, point: Tensor) -> None:
    _, slopes = target.value_and_gradient(point[None])
    steepness = slopes[0].norm()
    distances = torch.tensor(_NEARBY, dtype=point.dtype) * (1.0 + point.abs().max())
    if not float(steepness * distances[0]) > target.size:
        return
    # At distance r from the pole the slope of −c log r is c / r.
    _, slopes = target.value_and_gradient(point - distances[:, None] * slopes[0] / steepness)
    powers = slopes.norm(dim=1) * distances
    if float(powers.min()) > _ALMOST * target.size and float(powers.max() / powers.min()) < _ALIKE:
        raise DivergedError(
            f"log_density has a pole near {target.describe(point)}: it rises like {float(powers[0]):.3g} "
            f"times minus the log of the distance, so that its integral over {target.size} dimensions is not "
            "finite",
            fix="bound it: can a scale become 0, or is a prior missing?",
        )
