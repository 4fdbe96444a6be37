"""Every two columns against each other, with the regions that hold half and nine tenths of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.plots.appearance import (
    COLOURS,
    LINES,
    axes_grid,
    folded,
    label_axes,
    legend,
    of_results,
    short_numbers,
    ticks,
)
from logpx.plots.bins import bin_edges, highest_levels, limits_of, smooth_counts, spans_decades
from logpx.plots.columns import Numbers, PlottedColumn, matched
from logpx.plots.marginals import draw_dates, draw_marginal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_pair"]

_MOST_COLUMNS = 6
_MOST_POINTS = 400
_SHARES = (0.9, 0.5)
_JITTER = 0.3
# From values to where they are counted, and back.
_LINEAR = (lambda values: values, lambda places: places)
_LOGARITHMIC = (np.log10, lambda places: 10.0**places)


@of_results
def plot_pair(
    data: Any,
    other: Any = None,
    *,
    columns: Sequence[str | int] | None = None,
    names: Sequence[str] = ("data", "model"),
    title: str | None = None,
    points: bool = True,
    ax: Any = None,
) -> Any:
    """Plot every two columns against each other, and each by itself on the diagonal.

    Contours are the edges of the smallest regions that hold half and nine tenths of the rows, from a smoothed
    histogram. Labels are spread a little around their place.

    Parameters
    ----------
    data, other, columns, names, ax
        As in `plot_marginals`; the first 6 columns by default.
    title
        Written above.
    points
        Whether to show 400 of the rows as points, too.

    Returns
    -------
    numpy.ndarray
        The axes, shape ``(d, d)``; those above the diagonal are switched off.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no rows, or no such column.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_pair
    >>> plot_pair(np.random.default_rng(0).normal(size=(500, 3))).shape
    (3, 3)
    """
    pairs = matched(data, other, columns)
    if columns is None:
        pairs = pairs[:_MOST_COLUMNS]
    count = len(pairs)
    grid = axes_grid(ax, count, count, size=(1.9, 1.8) if count > 2 else (3.0, 2.8))
    handles: list[Any] = []
    for down, across in np.ndindex(count, count):
        place = grid[down, across]
        if across > down:
            place.set_axis_off()
            continue
        if across == down:
            handles = draw_marginal(place, pairs[down])
        else:
            _draw_two(place, pairs[across], pairs[down], points)
        place.set_xlim(*_shown(pairs[across]))
        x, y = (folded(pair[0].name, 40 if count <= 2 else 24) for pair in (pairs[across], pairs[down]))
        label_axes(place, x=x if down == count - 1 else None, y=y if across == 0 < down else None)
        if down < count - 1:
            place.tick_params(labelbottom=False)
        if 0 < across < down:
            place.tick_params(labelleft=False)
    if len(handles) > 1:
        spare = grid[0, -1] if count > 1 else grid[0, 0]
        legend(spare, handles, names, loc="upper right")
    if title is not None:
        _write_title(grid, title)
    return grid


def _write_title(grid: Any, title: str) -> None:
    label_axes(grid[0, 0], title=title)
    grid[0, 0].title.set_ha("left")
    grid[0, 0].title.set_x(0.0)
    # A long sentence reaches over the empty places on the right, and does not make the first axes small.
    grid[0, 0].title.set_in_layout(False)


def _shown(pair: Sequence[PlottedColumn]) -> tuple[float, float]:
    levels = pair[0].levels
    if levels is not None:
        return -0.5, len(levels) - 0.5
    low, high = limits_of(pair)
    edges = bin_edges(pair)
    # The bins of whole numbers reach half a step further.
    low, high = min(low, float(edges[0])), max(high, float(edges[-1]))
    if spans_decades(pair):
        margin = (high / low) ** 0.04
        return low / margin, high * margin
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _draw_two(place: Axes, x: Sequence[PlottedColumn], y: Sequence[PlottedColumn], points: bool) -> None:
    ranges = _shown(x), _shown(y)
    maps = tuple(_LOGARITHMIC if spans_decades(pair) else _LINEAR for pair in (x, y))
    counted = [
        (float(there(low)), float(there(high))) for (there, _), (low, high) in zip(maps, ranges, strict=True)
    ]
    for index, (one, two) in enumerate(zip(x, y, strict=True)):
        a, b = _together(one, two)
        if not len(a):
            continue
        if points and index == 0:
            few = np.linspace(0, len(a) - 1, min(len(a), _MOST_POINTS)).astype(int)
            place.plot(
                a[few], b[few], ".", color=COLOURS[0], markersize=2.5, alpha=0.5, zorder=1, rasterized=True
            )
        centres_x, centres_y, counts = smooth_counts(maps[0][0](a), maps[1][0](b), counted)
        levels = highest_levels(counts, _SHARES)
        if levels:
            place.contour(
                maps[0][1](centres_x),
                maps[1][1](centres_y),
                counts,
                levels,
                colors=COLOURS[index],
                linestyles=LINES[index],
                linewidths=[1.0, 1.6][-len(levels) :],
                zorder=2 + index,
            )
    for vertical, column in ((False, x[0]), (True, y[0])):
        if column.levels is not None:
            ticks(place, column.levels, vertical=vertical, slant=40.0)
        elif maps[vertical] is _LOGARITHMIC:
            (place.set_yscale if vertical else place.set_xscale)("log")
        else:
            place.locator_params(axis="y" if vertical else "x", nbins=4)
            short_numbers(place, column.present, vertical=vertical)
        draw_dates(place, column, vertical=vertical)
    place.set_ylim(*ranges[1])


def _together(one: PlottedColumn, two: PlottedColumn) -> tuple[Numbers, Numbers]:
    """Return the values of rows where both are there, labels spread around their place."""
    rng = np.random.default_rng(0)
    whole = np.isfinite(one.values) & np.isfinite(two.values)
    found = []
    for column in (one, two):
        values = column.values[whole]
        if column.levels is not None:
            values = values + rng.uniform(-_JITTER, _JITTER, len(values))
        found.append(values)
    return found[0], found[1]
