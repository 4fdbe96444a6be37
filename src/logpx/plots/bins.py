"""Histograms of one and two columns, and the edges of regions that hold given shares of the mass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from logpx.plots.columns import Numbers, PlottedColumn

__all__ = ["bin_edges", "highest_levels", "limits_of", "smooth_counts", "spans_decades"]

_FEWEST_BINS, _MOST_BINS = 12, 60
# Columns with as few different values get a bin for each.
_FEW_VALUES = 40
_TAIL = 0.002
_TAIL_OF_DECADES, _DECADES = 0.05, 100.0
_SIDE = 48


def spans_decades(columns: Sequence[PlottedColumn]) -> bool:
    """Return whether a column of one or several tables needs a logarithmic axis."""
    values = np.concatenate([column.present for column in columns])
    if columns[0].levels is not None or columns[0].dates or not len(values) or not values.min() > 0.0:
        return False
    low, high = np.quantile(values, [_TAIL_OF_DECADES, 1.0 - _TAIL_OF_DECADES])
    return bool(high > _DECADES * low)


def limits_of(columns: Sequence[PlottedColumn]) -> tuple[float, float]:
    """Return the range to show: all of it, unless a few values stretch it far beyond the others."""
    values = np.concatenate([column.present for column in columns])
    if not len(values):
        return 0.0, 1.0
    if spans_decades(columns):
        low, high = _limits(np.log10(values))
        return float(10.0**low), float(10.0**high)
    return _limits(values)


def _limits(values: Numbers) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    inner = np.quantile(values, [_TAIL, 1.0 - _TAIL])
    width = float(inner[1] - inner[0])
    if width > 0.0:
        low, high = max(low, float(inner[0]) - 0.25 * width), min(high, float(inner[1]) + 0.25 * width)
    if not high > low:
        spread = max(abs(low) * 1e-3, 0.5)
        return low - spread, high + spread
    return low, high


def bin_edges(columns: Sequence[PlottedColumn]) -> Numbers:
    """Return the edges of bins for one column of several tables: a bin for each value of a few."""
    levels = columns[0].levels
    if levels is not None:
        return np.asarray(np.arange(len(levels) + 1) - 0.5, np.float64)
    values = np.concatenate([column.present for column in columns])
    if spans_decades(columns):
        return np.asarray(10.0 ** _even_edges(np.log10(values)), np.float64)
    low, high = limits_of(columns)
    values = values[(values >= low) & (values <= high)]
    different = np.unique(values)
    if 1 < len(different) <= _FEW_VALUES and len(values) > 2 * len(different):
        steps = np.diff(different)
        step = float(steps.min())
        # Values of a grid, such as whole numbers: gaps stay gaps.
        if step > 0.0 and (different[-1] - different[0]) / step <= 2 * _MOST_BINS:
            count = round(float(different[-1] - different[0]) / step) + 1
            return np.asarray(different[0] + step * (np.arange(count + 1) - 0.5), np.float64)
    return _even_edges(values)


def _even_edges(values: Numbers) -> Numbers:
    """Return edges of equal bins, as wide as Freedman and Diaconis (1981) advise, within limits."""
    low, high = _limits(values) if len(values) else (0.0, 1.0)
    spread = np.subtract(*np.quantile(values, [0.75, 0.25])) if len(values) else 0.0
    width = 2.0 * float(spread) / max(len(values), 1) ** (1 / 3)
    count = _MOST_BINS if width <= 0.0 else round((high - low) / width)
    edges: Numbers = np.linspace(low, high, int(np.clip(count, _FEWEST_BINS, _MOST_BINS)) + 1)
    return edges


def smooth_counts(
    x: Numbers, y: Numbers, ranges: Sequence[tuple[float, float]]
) -> tuple[Numbers, Numbers, Numbers]:
    """Return centres and a smoothed two-dimensional histogram, shape ``(y, x)``, padded by empty bins."""
    padded = []
    for low, high in ranges:
        step = (high - low) / _SIDE
        padded.append(np.linspace(low - 4 * step, high + 4 * step, _SIDE + 9))
    counts = np.histogram2d(x, y, bins=padded)[0].T
    # Fewer points need more smoothing.
    width = float(np.clip(0.9 * _SIDE / max(len(x), 1) ** (1 / 6) / 6.0, 0.8, 3.0))
    reach = int(np.ceil(3 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, mode="same")
    middles = [0.5 * (edges[1:] + edges[:-1]) for edges in padded]
    return middles[0], middles[1], counts


def highest_levels(counts: np.ndarray[Any, Any], shares: Sequence[float]) -> list[float]:
    """Return the heights above which given shares of the mass lie, from the largest share to the smallest."""
    falling = np.sort(counts, axis=None)[::-1]
    held = falling.cumsum()
    if not held[-1] > 0.0:
        return []
    found = [float(falling[np.searchsorted(held, share * held[-1])]) for share in shares]
    return sorted({level for level in found if level > 0.0})
