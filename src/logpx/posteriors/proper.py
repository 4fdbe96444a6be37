"""Whether a log-density falls in every direction, without which it has no finite integral."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.errors import DivergedError
from logpx.posteriors.curvature import hessian
from logpx.posteriors.target import Target

__all__ = ["check_proper"]

_DEVIATIONS = 1e6
_AWAY = 1e3
_FAR = 1e12
_FLAT = 1e-12
_LINES = 3
_NEARBY = (1e-6, 1e-4)
_ALMOST = 0.99
_ALIKE = 1.2


@torch.no_grad()
def check_proper(target: Target, point: Tensor) -> None:
    """Look far out along the axes of the curvature at a point such as a mode, and for a pole close by.

    Along a line the density has to fall faster than one over the distance, and around a pole it must not rise
    like the distance to the power of −d; a density that passes may still be improper elsewhere.

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
        return
    _check_pole(target, point)
    values, axes = torch.linalg.eigh(curvature)
    size = values.abs()
    flat = size <= _FLAT * size.max()
    # Of a flat direction the scale is unknown; a spike's own scale says nothing of its surroundings.
    scaled = (_DEVIATIONS * size.clamp_min(1e-300).rsqrt()).clamp_min(_AWAY)
    distance = torch.where(flat, _FAR, scaled) * (1.0 + point.abs().max())
    directions = torch.cat([axes.mT, -axes.mT])
    distance = torch.cat([distance, distance])
    # Of lines through points in general position: a single one may run along a spike without mass.
    noise = torch.randn(_LINES, len(point), generator=torch.Generator().manual_seed(0), dtype=point.dtype)
    near = torch.cat([point[None], point + noise])
    far = near[:, None] + distance[:, None] * directions
    here, there = target.log_prob(near), target.log_prob(far.flatten(0, 1)).view(far.shape[:2])
    still = (there > here[:, None] - math.log(_AWAY)).all(0)
    if bool(still.any()):
        index = int(still.nonzero()[0])
        along = ", ".join(f"{float(entry):.3g}" for entry in directions[index, :6])
        raise DivergedError(
            f"log_density does not fall: it is {float(here[0]):.6g} at {target.describe(point)} and "
            f"{float(there[0, index]):.6g} at distance {float(distance[index]):.3g} from there along ({along}"
            f"{', ...' if target.size > 6 else ''}), so that its integral is not finite",
            fix="is it improper, or its sign wrong? bound the parameters, or give them a prior",
        )


def _check_pole(target: Target, point: Tensor) -> None:
    _, slopes = target.value_and_gradient(point[None])
    steepness = slopes[0].norm()
    distances = torch.tensor(_NEARBY, dtype=point.dtype) * (1.0 + point.abs().max())
    if not float(steepness * distances[0]) > target.size:
        return
    # Of −c log r the slope at the distance r from the pole is c / r.
    _, slopes = target.value_and_gradient(point - distances[:, None] * slopes[0] / steepness)
    powers = slopes.norm(dim=1) * distances
    if float(powers.min()) > _ALMOST * target.size and float(powers.max() / powers.min()) < _ALIKE:
        raise DivergedError(
            f"log_density has a pole near {target.describe(point)}: it rises like {float(powers[0]):.3g} "
            f"times minus the log of the distance, so that its integral over {target.size} dimensions is not "
            "finite",
            fix="bound it: is a scale allowed to vanish, or a prior missing?",
        )
