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


@torch.no_grad()
def check_proper(target: Target, point: Tensor) -> None:
    """Look far out along the axes of the curvature at a point, such as a mode.

    Along a line the density has to fall faster than one over the distance; a density that passes may still
    be improper elsewhere.

    Parameters
    ----------
    target
        The log-density.
    point
        Shape ``(d,)``.

    Raises
    ------
    DivergedError
        If it does not fall in a direction; that is named.
    """
    with torch.enable_grad():
        curvature = hessian(target, point)
    if not bool(curvature.isfinite().all()):
        return
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
