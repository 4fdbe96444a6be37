"""Missing cells: where they are, and what is put in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from logpx.errors import UsageError
from logpx.plots.appearance import (
    COLOURS,
    GREY,
    axes_grid,
    folded,
    label_axes,
    legend,
    of_results,
    ticks,
    words,
)
from logpx.plots.columns import columns_of, matched
from logpx.plots.marginals import draw_marginal
from logpx.wording import counted

__all__ = ["plot_imputed", "plot_missing"]

_MOST_COLUMNS, _MOST_PATTERNS = 24, 10
_ACROSS = 4


@of_results
def plot_missing(data: Any, *, columns: Sequence[str | int] | None = None, ax: Any = None) -> Any:
    """Plot the share of missing cells in each column, and the most frequent patterns of missing cells.

    Parameters
    ----------
    data, columns, ax
        As in `plot_marginals`; by default the 24 columns with most missing cells.

    Returns
    -------
    numpy.ndarray
        The two axes: shares, and patterns, one in each line with its share of the rows.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no rows.

    Examples
    --------
    >>> from logpx.plots import plot_missing
    >>> left, right = plot_missing({"a": [1.0, None, 2.0], "b": [None, None, "x"]})
    >>> [label.get_text() for label in left.get_yticklabels()]
    ['b', 'a']
    """
    from matplotlib.colors import ListedColormap

    found = list(columns_of(data, columns).values())
    gone = {column.name: np.isnan(column.values) for column in found}
    names = sorted(gone, key=lambda name: -float(gone[name].mean()))
    if columns is None:
        names = [name for name in names if gone[name].any()][:_MOST_COLUMNS] or names[:1]
    complete = not any(gone[name].any() for name in names)
    size = (4.0, max(1.6, 0.5 + 0.26 * len(names)))
    left, right = axes_grid(ax, 1, 2, size=size).ravel()
    left.barh(range(len(names)), [float(gone[name].mean()) for name in names], 0.65, color=COLOURS[0])
    ticks(left, names, vertical=True)
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set_xlim(0.0, 1.0 if complete else None)
    label_axes(left, x="share of cells missing")
    rows = np.stack([gone[name] for name in names], 1)
    patterns = Counter(map(tuple, rows.tolist()))
    frequent = patterns.most_common(_MOST_PATTERNS)
    missing = np.array([pattern for pattern, _ in frequent], dtype=np.float64).T
    # Cells that are there show the page, which may be dark.
    right.imshow(np.ma.masked_equal(missing, 0.0), cmap=ListedColormap([GREY]), vmin=0, vmax=1, aspect="auto")
    ticks(right, [f"{count / len(rows):.0%}" for _, count in frequent])
    right.set_yticks([])
    covered = sum(count for _, count in frequent) / len(rows)
    label_axes(
        right,
        x=f"patterns of {covered:.0%} of the rows",
        title="no cell is missing" if complete else "filled: missing",
    )
    return np.array([left, right])


@of_results
def plot_imputed(
    data: Any, completed: Any, *, columns: Sequence[str | int] | None = None, ax: Any = None
) -> Any:
    """Plot the values that are there beside those that were filled in, for each column with missing cells.

    The two may rightly differ: cells need not be missing by chance.

    Parameters
    ----------
    data
        Rows with missing cells, as in `plot_marginals`.
    completed
        The same rows without, or several completed tables one after another, as `impute` returns.
    columns, ax
        As in `plot_marginals`; by default the first 24 with missing cells.

    Returns
    -------
    numpy.ndarray
        The axes, one for each column.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If no cell is missing, or the completed rows are not those of the data.

    Examples
    --------
    >>> from logpx.plots import plot_imputed
    >>> axes = plot_imputed({"a": [1.0, None, 2.0]}, {"a": [1.0, 1.4, 2.0]})
    >>> axes[0].get_title()
    'a, 1 missing'
    """
    pairs = [pair for pair in matched(data, completed, columns) if np.isnan(pair[0].values).any()]
    pairs = pairs[:_MOST_COLUMNS]
    if not pairs:
        raise UsageError("no cell is missing", fix="give rows with missing cells")
    rows, filled = len(pairs[0][0].values), len(pairs[0][1].values)
    if filled % rows:
        raise UsageError(
            f"{counted(filled, 'completed row')} for {rows:,}", fix="give completed tables of the same rows"
        )
    across = min(_ACROSS, len(pairs))
    grid = axes_grid(ax, -(-len(pairs) // across), across).ravel()
    handles: list[Any] = []
    for axes, (there, complete) in zip(grid, pairs, strict=False):
        gone = np.isnan(there.values)
        put_in = replace(complete, values=complete.values[np.tile(gone, filled // rows)])
        handles = draw_marginal(axes, (there, put_in))
        label_axes(axes, title=folded(f"{words(there.name, 40)}, {int(gone.sum()):,} missing", 32))
    for axes in grid[len(pairs) :]:
        axes.set_axis_off()
    legend(grid[0], handles, ["present", "filled in"])
    return grid[: len(pairs)]
