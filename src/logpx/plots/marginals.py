"""Each column by itself: one table, or two beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.plots.appearance import (
    COLOURS,
    GREY,
    LINES,
    axes_grid,
    folded,
    label_axes,
    legend,
    of_results,
    short_numbers,
    ticks,
)
from logpx.plots.bins import bin_edges, spans_decades
from logpx.plots.columns import PlottedColumn, matched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_dates", "draw_marginal", "plot_marginals"]

_MOST_COLUMNS = 24
_ACROSS = 4


@of_results
def plot_marginals(
    data: Any,
    other: Any = None,
    *,
    columns: Sequence[str | int] | None = None,
    names: Sequence[str] = ("data", "model"),
    ax: Any = None,
) -> Any:
    """Plot a histogram of each column, of one table or of two, such as data and samples.

    Numbers on a grid get a bin for each value, and a few values that lie far beyond all others are left out.

    Parameters
    ----------
    data
        Rows: an array or tensor of shape ``(n, d)``, a dictionary of them, an Arrow table or a frame; or a
        result with a method of this name, such as a posterior.
    other
        More rows, drawn as a line.
    columns
        Names or places of columns; the first 24 by default.
    names
        What the two are called in the legend.
    ax
        Single axes, whose place is divided, or an array of axes; a new figure by default.

    Returns
    -------
    numpy.ndarray
        The axes, one for each column.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no rows, or no such column.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_marginals
    >>> rng = np.random.default_rng(0)
    >>> axes = plot_marginals({"age": rng.normal(40, 9, 500), "sex": rng.choice(["f", "m"], 500)})
    >>> [each.get_title() for each in axes]
    ['age', 'sex']
    """
    pairs = matched(data, other, columns)
    if columns is None:
        pairs = pairs[:_MOST_COLUMNS]
    across = min(_ACROSS, len(pairs))
    down = -(-len(pairs) // across)
    grid = axes_grid(ax, down, across)
    handles: list[Any] = []
    for place, pair in zip(grid.ravel(), pairs, strict=False):
        handles = draw_marginal(place, pair)
        label_axes(place, title=folded(pair[0].name, 32))
    for place in grid.ravel()[len(pairs) :]:
        place.set_axis_off()
    if len(handles) > 1:
        legend(grid.ravel()[0], handles, names)
    return grid.ravel()[: len(pairs)]


def draw_marginal(ax: Axes, pair: Sequence[PlottedColumn]) -> list[Any]:
    """Draw the shares of one column, the first table filled and others as lines; return the handles."""
    edges = bin_edges(pair)
    decades = spans_decades(pair)
    # The area is the share, on a logarithmic axis too.
    widths = np.diff(np.log(edges) if decades else edges)
    handles: list[Any] = []
    for place, column in enumerate(pair):
        shares = np.histogram(column.present, bins=edges)[0] / max(len(column.present), 1)
        heights = shares if column.levels is not None else shares / widths
        handles.append(
            ax.stairs(
                heights,
                edges,
                fill=place == 0,
                color=COLOURS[place],
                alpha=0.4 if place == 0 else None,
                linestyle=LINES[place],
                linewidth=1.5,
            )
        )
        if place == 0:
            ax.stairs(heights, edges, color=COLOURS[0], linewidth=1.0)
    if pair[0].levels is not None:
        ticks(ax, pair[0].levels, slant=40.0)
    elif decades:
        ax.set_xscale("log")
    else:
        ax.locator_params(axis="x", nbins=5)
        short_numbers(ax, edges)
    draw_dates(ax, pair[0])
    if not any(len(column.present) for column in pair):
        ax.set_xticks([])
        ax.text(0.5, 0.5, "no values", transform=ax.transAxes, ha="center", color=GREY, fontsize=8)
    ax.set_ylim(bottom=0.0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    return handles


def draw_dates(ax: Any, column: PlottedColumn, *, vertical: bool = False) -> None:
    """Write days as dates on an axis."""
    if column.dates:
        from matplotlib import dates

        axis = ax.yaxis if vertical else ax.xaxis
        made: Any = dates
        locator = made.AutoDateLocator(minticks=2, maxticks=5)
        axis.set_major_locator(locator)
        axis.set_major_formatter(made.ConciseDateFormatter(locator))
