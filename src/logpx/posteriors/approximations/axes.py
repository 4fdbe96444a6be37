"""Higher places along lines through a mode, near and very far: a mode far away has a wide basin there."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.posteriors.target.climbs import values_at
from logpx.posteriors.target.target import Target

__all__ = ["peaks_along_axes"]

# In deviations of the mode. Near it in small steps, as a narrow mode may hide in a wide one.
_NEAR, _NEARER = 0.05, 0.01
_FAR = 2.0 * 1.1 ** torch.arange(114, dtype=torch.float64)
# Of the way to the origin, and as far beyond.
_WAY = 100


def peaks_along_axes(
    target: Target, mode: Tensor, factor: Tensor, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return points where the log-density has risen again along a line, and its values there.

    Lines are the coordinate axes, the diagonal along which all coordinates change alike, and the line to the
    origin, near which much is symmetric. The density falls from a mode. Where it rises again further out
    there is another, however far: draws in all directions of a space would hardly come as near.

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
    distances = _distances(_NEAR)
    some = torch.randperm(len(axes), generator=generator)[: max(1, most // len(distances))]
    diagonal = _distances(_NEARER)[:, None] * deviations
    way = torch.arange(1, 2 * _WAY + 1, dtype=mode.dtype)[:, None] / _WAY
    lines = [mode + distances[:, None] * axis for axis in axes[some]]
    lines += [mode + diagonal, mode - diagonal, mode - way * mode]
    values = torch.split(values_at(target, torch.cat(lines)), [len(line) for line in lines])
    peaks = [_risen(own) for own in values]
    points = torch.cat([line[1:-1][found] for line, found in zip(lines, peaks, strict=True)])
    return points, torch.cat([own[1:-1][found] for own, found in zip(values, peaks, strict=True)])


def _distances(step: float) -> Tensor:
    near = torch.arange(1, round(float(_FAR[0]) / step), dtype=torch.float64)
    return torch.cat([step * near, _FAR])


def _risen(values: Tensor) -> Tensor:
    """Return which of the values ``(n,)`` but the first and the last are peaks."""
    middle = values[1:-1]
    return (middle > values[:-2]) & (middle >= values[2:]) & middle.isfinite()
