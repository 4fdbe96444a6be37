"""The knots of a quantile spline: smoothed quantiles, and both ends of every wide gap."""

from __future__ import annotations

import numpy as np
import torch

from logpx.errors import DataError
from logpx.tables.scales.sample import Array, Sample

__all__ = ["quantile_knots"]

_MOST_KNOTS = 64
# Training rows beyond each outermost knot: enough to fit the slope of the tail.
_TAIL_ROWS = 12.0
_TAIL_MASS = (0.002, 0.2)
# Repeated values could make the spline arbitrarily steep; this bounds what a repeat can gain.
_STEEPEST = 1000.0
# A gap is this many times wider than the spacings beside it: among 50000 exponential spacings the widest
# is 11 times the mean.
_WIDE = 25.0
_MOST_GAPS = 8


def quantile_knots(sample: Sample) -> tuple[Array, Array]:
    """Return abscissae and ordinates, strictly increasing, of a spline from values to normal quantiles.

    Raises
    ------
    DataError
        If the values are too similar for two knots.

    Examples
    --------
    >>> knots, heights = quantile_knots(Sample.of(np.linspace(-1.0, 1.0, 101)))
    >>> bool((np.diff(knots) > 0).all() and (np.diff(heights) > 0).all())
    True
    """
    return _merged(*_with_gaps(sample, *_smoothed_quantiles(sample)))


def _smoothed_quantiles(sample: Sample) -> tuple[Array, Array]:
    """Return quantiles at levels evenly spaced on the normal axis, each averaged over its neighbourhood."""
    size = sample.effective_size()
    count = int(np.clip(round(2 * size ** (1 / 3)), 2, _MOST_KNOTS))
    tail = float(np.clip(_TAIL_ROWS / size, *_TAIL_MASS))
    outermost = float(_normal_quantile(np.array([1 - tail]))[0])
    heights = np.linspace(-outermost, outermost, count)
    neighbours = (heights[1] - heights[0]) * np.linspace(-0.4, 0.4, 5)
    levels = torch.special.ndtr(torch.from_numpy(heights[:, None] + neighbours)).numpy()
    return sample.quantiles(levels).mean(axis=1), heights


def _with_gaps(sample: Sample, knots: Array, heights: Array) -> tuple[Array, Array]:
    """Return the knots, with the rows at both ends of each wide gap added.

    Averaged quantiles alone would spread the rows of two separate modes over the space between them.
    """
    values = sample.values
    near = max(8, len(values) // 200)
    if len(values) < 4 * near:
        return knots, heights
    spacing = np.diff(values)
    before = (values[near:-near] - values[: -2 * near])[:-1] / near
    after = (values[2 * near :] - values[near:-near])[1:] / near
    candidates = np.arange(near, len(values) - near - 1)
    # Next to repeated values every spacing is wide, but these are not modes.
    wide = (spacing[candidates] > _WIDE * np.maximum(before, after)) & (np.minimum(before, after) > 0)
    wide &= (values[candidates] >= knots[0]) & (values[candidates + 1] <= knots[-1])
    found = candidates[wide]
    found = found[np.argsort(-spacing[found], kind="stable")][:_MOST_GAPS]
    if len(found) == 0:
        return knots, heights
    rows = np.union1d(found, found + 1)
    ends, levels = values[rows], _normal_quantile(sample.levels()[rows])
    # Drop averaged knots close to a gap, or out of order with its ends.
    right = np.searchsorted(ends, knots)
    aligned = right == np.searchsorted(levels, heights)
    apart = np.abs(heights[:, None] - levels).min(axis=1) > (heights[1] - heights[0]) / 2
    kept = aligned & apart
    return np.sort(np.concatenate([knots[kept], ends])), np.sort(np.concatenate([heights[kept], levels]))


def _merged(knots: Array, heights: Array) -> tuple[Array, Array]:
    """Return the knots with those that would make the spline too steep replaced by their mean."""
    groups: list[tuple[list[float], list[float]]] = []
    for knot, height in zip(knots.tolist(), heights.tolist(), strict=True):
        if groups:
            last_knots, last_heights = groups[-1]
            rise = height - float(np.mean(last_heights))
            if knot - float(np.mean(last_knots)) <= rise / _STEEPEST:
                last_knots.append(knot)
                last_heights.append(height)
                continue
        groups.append(([knot], [height]))
    if len(groups) < 2:
        raise DataError("the values are too similar for a spline", fix="leave the column out")
    return np.array([np.mean(k) for k, _ in groups]), np.array([np.mean(h) for _, h in groups])


def _normal_quantile(levels: Array) -> Array:
    result: Array = torch.special.ndtri(torch.from_numpy(levels)).numpy()
    return result
