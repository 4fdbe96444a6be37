"""Higher places along lines through a mode, near and very far: a mode far away has a wide basin there."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.posteriors.target.climbs import values_at
from logpx.posteriors.target.target import Target

__all__ = ["peaks_along_axes"]

# In deviations of the mode: up to 2 in small steps, as a narrow mode may hide in a wide one, then to 100,000.
_DISTANCES = torch.cat(
    [0.05 * torch.arange(1, 40, dtype=torch.float64), 2.0 * 1.1 ** torch.arange(114, dtype=torch.float64)]
)


def peaks_along_axes(
    target: Target, mode: Tensor, factor: Tensor, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return points where the log-density has risen again along a line, and its values there.

    Lines are the coordinate axes, and the diagonal along which all coordinates change alike. The density
    falls from a mode. Where it rises again further out there is another, however far: draws in all directions
    of a space would hardly come as near.

    Parameters
    ----------
    target
        The log-density.
    mode
        Shape ``(d,)``.
    factor
        The Cholesky factor of its covariance: the deviations are the units of distance.
    most
        At how many points the log-density may be computed: axes are drawn if there are too many.
    generator
        Draws them.

    Returns
    -------
    tuple of Tensor
        Points ``(k, d)`` and values ``(k,)``.
    """
    deviations = factor.square().sum(1).sqrt()
    axes = torch.cat([deviations.diag(), -deviations.diag()])
    some = torch.randperm(len(axes), generator=generator)[: max(1, most // len(_DISTANCES))]
    directions = torch.cat([torch.stack([deviations, -deviations]), axes[some]])
    points = mode + _DISTANCES[:, None] * directions[:, None]
    values = values_at(target, points.flatten(0, 1)).view(points.shape[:2])
    risen = values[:, 1:-1] > values[:, :-2]
    peaks = risen & (values[:, 1:-1] >= values[:, 2:]) & values[:, 1:-1].isfinite()
    return points[:, 1:-1][peaks], values[:, 1:-1][peaks]
