"""Higher places along many random rays from the modes: where a narrow mode hides far from a wide one."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.posteriors.approximations.expansion import Expansion, explained_by
from logpx.posteriors.target.climbs import values_at
from logpx.posteriors.target.target import Target

__all__ = ["peaks_along_rays"]

_AT_ONCE = 256
# Distances, as multiples of that of a typical draw from the mode.
_NEAREST, _STEP, _STEPS = 0.3, 1.1, 52
_KEPT = 32
_OF_TIME_LEFT = 0.3


@torch.no_grad()
def peaks_along_rays(
    target: Target, modes: Sequence[Expansion], most: int, generator: torch.Generator
) -> Tensor:
    """Return points ``(k, d)`` where the log-density has risen again along a ray, far above what is known.

    Climbs lead to a mode k times as narrow as another only from a ball of about 1 / k of the distance between
    the two: of rays in all directions, a share of about k to the power of 1 − d meets it.

    Parameters
    ----------
    target
        The log-density.
    modes
        Those that rays start from.
    most
        At how many points the log-density may be computed; at fewer if a part of the time that is left is up.
    generator
        Draws them.
    """
    until = time.monotonic() + _OF_TIME_LEFT * target.meter.left
    size = target.size
    steps = _NEAREST * math.sqrt(size) * _STEP ** torch.arange(_STEPS, dtype=torch.float64)
    best, merits = torch.empty(0, size, dtype=torch.float64), torch.empty(0, dtype=torch.float64)
    for number in range(most // (_AT_ONCE * _STEPS)):
        if time.monotonic() > until:
            break
        mode = modes[number % len(modes)]
        noise = torch.randn(_AT_ONCE, size, generator=generator, dtype=torch.float64)
        shifts = _STEP ** torch.rand(_AT_ONCE, 1, generator=generator, dtype=torch.float64)
        rays = (noise / noise.norm(dim=1, keepdim=True)) @ mode.factor.mT
        points = mode.mode + (shifts * steps)[..., None] * rays[:, None]
        values = values_at(target, points.flatten(0, 1)).view(_AT_ONCE, _STEPS)
        middle = values[:, 1:-1]
        risen = (middle > values[:, :-2]) & (middle >= values[:, 2:]) & middle.isfinite()
        best = torch.cat([best, points[:, 1:-1][risen]])
        merits = torch.cat([merits, middle[risen] - explained_by(modes, points[:, 1:-1][risen])])
        kept = merits.argsort(descending=True)[:_KEPT]
        best, merits = best[kept], merits[kept]
    return best
