"""How much mass a search may have left at modes that it would not meet, if they differ as those it met do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.posteriors.approximations.expansion import Expansion, explained_by

__all__ = ["share_at_unmet_modes"]

_IMAGINED = 128
_LEAST_EACH = 8
_AT_ONCE = 16
# Of log-widths: two deviations are a factor of two.
_PLAUSIBLE, _UNEQUAL, _WIDEST = 0.35, 20.0, 0.5
_LOG_TWO_PI = math.log(2.0 * math.pi)


@torch.no_grad()
def share_at_unmet_modes(
    modes: Sequence[Expansion], points: Tensor, explained: Tensor, times: float, seed: int = 0
) -> float:
    """Return the share of the mass at modes that were not met, in [0, 1).

    Seen from afar, the widest mode hides the others: the narrower a mode, the smaller the basin from which
    climbs lead to it, by a power of the dimension. So modes are imagined that are distributed as those that
    were met, with their masses and at places as far from each other; if their widths are not all equal, then
    with others near to them, seldom below the half or above the double. A mode that would be met with
    probability π stands for (1 − π) / π unmet ones.

    Parameters
    ----------
    modes
        Those that random points have led to; a single one says nothing of others.
    points
        Some of the points that the search has looked at, shape ``(n, d)``.
    explained
        The log-density there that the known modes explain, in nats, shape ``(n,)``.
    times
        How many times as many points the search has looked at.
    seed
        Of the imagined modes.

    References
    ----------
    Horvitz and Thompson 1952, A generalization of sampling without replacement from a finite universe (what
    each stands for).
    """
    if len(modes) < 2 or not len(points):
        return 0.0
    number, size = len(modes), points.shape[1]
    factors = torch.stack([mode.factor for mode in modes])
    deviations = factors.square().sum(2)
    unit = deviations.mean(0).sqrt()
    places = torch.stack([mode.mode for mode in modes]) / unit
    log_widths = factors.diagonal(dim1=1, dim2=2).log().mean(1) - unit.log().mean()
    # Copies of one mode have equal widths, and hide nothing from each other.
    spread = float(log_widths.std())
    predicted = min(spread * math.sqrt(1.0 + 1.0 / number), _WIDEST)
    bandwidth = max(min(_PLAUSIBLE, _UNEQUAL * spread), predicted)
    each = max(_LEAST_EACH, _IMAGINED // number)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(number * each, size, generator=generator, dtype=torch.float64)
    imagined = places.mean(0) + float(places.var(0).mean().sqrt()) * noise
    quantiles = (torch.arange(each, dtype=torch.float64) + 0.5) / each
    shifts = bandwidth * math.sqrt(2.0) * torch.erfinv(2.0 * quantiles - 1.0)
    widths = (log_widths[:, None] + shifts).flatten()
    masses = torch.tensor([mode.log_mass for mode in modes], dtype=torch.float64)
    heights = masses.repeat_interleave(each) - size * (widths + 0.5 * _LOG_TWO_PI) - unit.log().sum()
    hits = _hits(points / unit, explained, imagined, widths, heights)
    met = 1.0 - (1.0 - hits / len(points)) ** (times * len(points))
    # Where the known modes explain as much, there is no other.
    met = torch.where(heights > explained_by(modes, imagined * unit), met, 1.0).view(number, each).mean(1)
    shares = torch.softmax(masses, 0)
    unmet = float((shares * (1.0 - met) / met.clamp_min(1.0 / (each * number))).sum())
    return unmet / (1.0 + unmet)


def _hits(points: Tensor, explained: Tensor, imagined: Tensor, widths: Tensor, heights: Tensor) -> Tensor:
    """Return at how many points each imagined mode is more likely than all that is known, shape ``(k,)``."""
    squares = points.square().sum(1)
    counts = []
    parts = (torch.split(each, _AT_ONCE) for each in (imagined, widths, heights))
    for places, own_widths, own_heights in zip(*parts, strict=True):
        distances = squares[:, None] - 2.0 * points @ places.mT + places.square().sum(1)
        density = own_heights - 0.5 * distances * (-2.0 * own_widths).exp()
        counts.append((density > explained[:, None]).double().sum(0))
    return torch.cat(counts)
