"""Rows beside the model of them: correlations, likelihoods, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.errors import UsageError
from logpx.plots.appearance import (
    COLOURS,
    DIFFERENCES,
    GREY,
    LINES,
    axes_grid,
    label_axes,
    legend,
    new_axes,
    of_results,
    ticks,
    words,
)
from logpx.plots.columns import Numbers, PlottedColumn, matched, numbers_of, paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["association", "associations", "plot_calibration", "plot_correlations", "plot_log_prob"]

_MOST_COLUMNS = 30
_FEW_COLUMNS = 7
# Of the Kolmogorov distribution, at 95 percent.
_KOLMOGOROV = 1.358
_BINS = 60


@of_results
def plot_correlations(
    data: Any,
    other: Any = None,
    *,
    columns: Sequence[str | int] | None = None,
    names: Sequence[str] = ("data", "model"),
    ax: Any = None,
) -> Any:
    """Plot how strongly columns go together, in one table, in another, and the difference.

    Between numbers it is Spearman's rank correlation; between labels and numbers the correlation ratio of
    ranks, between labels Cramér's V, neither of which has a sign.

    Parameters
    ----------
    data, other, columns, names, ax
        As in `plot_marginals`; the first 30 columns by default.

    Returns
    -------
    numpy.ndarray
        The axes: one, or three with a second table.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no rows, or no such column.

    References
    ----------
    Cramér 1946, Mathematical methods of statistics, section 21.9.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_correlations
    >>> x = np.random.default_rng(0).normal(size=(300, 3))
    >>> [ax.get_title() for ax in plot_correlations(x, x)]
    ['data', 'model', 'difference, at most 0.00']
    """
    pairs = matched(data, other, columns)
    if columns is None:
        pairs = pairs[:_MOST_COLUMNS]
    several = len(pairs[0]) == 2
    tables = [association([pair[place] for pair in pairs]) for place in range(len(pairs[0]))]
    titles = list(names[: len(tables)])
    if several:
        difference = tables[1] - tables[0]
        tables.append(difference)
        titles.append(f"difference, at most {float(np.nanmax(np.abs(difference), initial=0.0)):.2f}")
    shown = [pair[0].name for pair in pairs]
    side = max((0.42 if len(shown) <= _FEW_COLUMNS else 0.24) * len(shown), 2.0)
    # Room for names, which stand on the left of the first panel, and below each panel on a slant.
    room = 0.07 * max(len(words(name)) for name in shown)
    width = side + max(0.7, 0.4 + room / len(tables))
    grid = axes_grid(ax, 1, len(tables), size=(width, side + max(1.3, 0.7 + 0.7 * room))).ravel()
    drawn = None
    for place, (table, title) in enumerate(zip(tables, titles, strict=True)):
        axes = grid[place]
        drawn = axes.imshow(table, cmap=DIFFERENCES, vmin=-1.0, vmax=1.0)
        label_axes(axes, title=title)
        ticks(axes, shown, slant=45.0)
        ticks(axes, shown if place == 0 else [""] * len(shown), vertical=True)
        if len(shown) <= _FEW_COLUMNS:
            _write_values(axes, table)
    bar = grid[0].figure.colorbar(drawn, ax=list(grid), shrink=0.8, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    return grid


def _write_values(axes: Axes, table: Numbers) -> None:
    for (down, across), value in np.ndenumerate(table):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.6 else "black"
            axes.text(across, down, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)


def associations(data: Any, *, columns: Sequence[str | int] | None = None) -> Numbers:
    """Return how strongly every two columns of a table go together, as `plot_correlations` shows them.

    Parameters
    ----------
    data, columns
        As in `plot_marginals`.

    Returns
    -------
    numpy.ndarray
        Shape ``(d, d)``; NaN where a column never varies.

    Examples
    --------
    >>> from logpx.plots import associations
    >>> associations({"a": [1.0, 2.0, 3.0], "b": [1.0, 4.0, 9.0]}).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return association([column for (column,) in matched(data, None, columns)])


def association(columns: Sequence[PlottedColumn]) -> Numbers:
    """Return how strongly every two columns go together, shape ``(d, d)``; NaN where one never varies."""
    found = np.full((len(columns), len(columns)), np.nan)
    for down, one in enumerate(columns):
        for across, other in enumerate(columns[: down + 1]):
            whole = np.isfinite(one.values) & np.isfinite(other.values)
            found[down, across] = found[across, down] = _strength(one, other, whole)
    return found


def _strength(one: PlottedColumn, other: PlottedColumn, whole: np.ndarray[Any, Any]) -> float:
    a, b = one.values[whole], other.values[whole]
    if len(a) < 3 or a.min() == a.max() or b.min() == b.max():
        return float("nan")
    if one is other:
        return 1.0
    if one.levels is None and other.levels is None:
        return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])
    if one.levels is not None and other.levels is not None:
        return _cramer(a, b)
    labels, numbers = (a, _ranks(b)) if one.levels is not None else (b, _ranks(a))
    places = labels.astype(np.int64)
    counts = np.bincount(places)
    means = np.bincount(places, numbers) / np.maximum(counts, 1)
    between = float(counts @ (means - numbers.mean()) ** 2)
    return float(np.sqrt(between / ((numbers - numbers.mean()) ** 2).sum()))


def _ranks(values: Numbers) -> Numbers:
    """Return ranks; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return np.asarray((ends - 0.5 * (counts - 1))[places], np.float64)


def _cramer(a: Numbers, b: Numbers) -> float:
    counts = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(counts, (a.astype(np.int64), b.astype(np.int64)), 1.0)
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi_squared / (counts.sum() * (min(counts.shape) - 1))))


@of_results
def plot_log_prob(
    groups: Mapping[str, Any],
    *,
    kind: str = "exact",
    unit: str = "nats per row",
    ax: Axes | None = None,
) -> Axes:
    """Plot how log p is distributed over groups of rows, such as training, held-out and new ones.

    Held-out rows far to the left of training rows mean that the model has learnt these by heart; new rows
    there are unlike what it was fitted to.

    Parameters
    ----------
    groups
        By name, log p of each row; minus infinity for impossible rows, which are counted in the legend.
    kind
        ``exact`` or ``lower bound``, for the label.
    unit
        What it is measured in.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there is no group, or one is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_log_prob
    >>> x = np.random.default_rng(0).normal(size=500)
    >>> plot_log_prob({"held-out": -x**2, "new": -(x + 2) ** 2}).get_xlabel()
    'log p (nats per row)'
    """
    named = paired(groups)
    ax = new_axes(ax)
    finite = {name: values[np.isfinite(values)] for name, values in named.items()}
    together = np.concatenate(list(finite.values()))
    low, high = (0.0, 1.0)
    if len(together):
        low = float(np.quantile(together, 0.005))
        high = float(together.max())
        low -= 0.1 * (high - low)
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    handles, explained = [], []
    for place, (name, values) in enumerate(finite.items()):
        shares = np.histogram(values, bins=edges)[0] / max(len(named[name]), 1) / np.diff(edges)
        colour, line = COLOURS[place % len(COLOURS)], LINES[place % len(LINES)]
        handles.append(ax.stairs(shares, edges, color=colour, linestyle=line, linewidth=1.6))
        if place == 0:
            ax.stairs(shares, edges, color=colour, fill=True, alpha=0.25)
        lost = len(named[name]) - len(values)
        explained.append(f"{name}, {len(named[name]):,}" + (f" ({lost:,} impossible)" if lost else ""))
        if len(values):
            ax.axvline(float(values.mean()), 0.0, 0.06, color=colour, linewidth=2.5)
    ax.set_yticks([])
    # The legend stands above the highest bar.
    ax.set_ylim(0.0, ax.dataLim.y1 * (1.05 + 0.08 * len(named)) or 1.0)
    ax.spines["left"].set_visible(False)
    label = "log p" if kind == "exact" else f"{kind} of log p"
    label_axes(ax, x=f"{label} ({unit})", title="short bars at the bottom: means")
    legend(ax, handles, explained, loc="upper left")
    return ax


@of_results
def plot_calibration(pit: Any, *, ax: Any = None) -> Any:
    """Plot probability integral transforms against the uniform distribution, and coverage of intervals.

    The transform of a value is the probability that its predicted distribution gives to smaller ones. If
    predictions are right it is uniform: the left line stays within the band, in which 95 percent of all lines
    of calibrated predictions stay as a whole. On the right, of the central intervals of each size the share
    that holds the value: below the diagonal, predictions are too narrow.

    Parameters
    ----------
    pit
        Values between 0 and 1, shape ``(n,)``; or by name, such as one for each column. NaN, as of missing
        cells, does not count.
    ax
        Single axes, whose place is divided, or two; a new figure by default.

    Returns
    -------
    numpy.ndarray
        The two axes.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no values, or one is not between 0 and 1.

    References
    ----------
    Dawid 1984, Statistical theory: the prequential approach; Massey 1951, The Kolmogorov–Smirnov test for
    goodness of fit.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_calibration
    >>> plot_calibration(np.random.default_rng(0).uniform(size=400)).shape
    (2,)
    """
    groups = paired(pit) if isinstance(pit, Mapping) else {"": numbers_of(pit, "pit")}
    groups = {name: values[~np.isnan(values)] for name, values in groups.items()}
    for name, values in groups.items():
        if not len(values):
            raise UsageError(f"all values of {name or 'pit'} are missing", fix="leave them out")
        if not ((values >= 0.0) & (values <= 1.0)).all():
            raise UsageError(f"values of {name or 'pit'} are not between 0 and 1", fix="give probabilities")
    grid = axes_grid(ax, 1, 2, size=(3.6, 3.0)).ravel()
    left, right = grid[0], grid[1]
    fewest = min(len(values) for values in groups.values())
    band = _KOLMOGOROV / np.sqrt(fewest)
    left.axhspan(-band, band, color=GREY, alpha=0.2, linewidth=0)
    left.axhline(0.0, color=GREY, linewidth=1.0)
    right.plot([0.0, 1.0], [0.0, 1.0], color=GREY, linewidth=1.0)
    sizes = np.linspace(0.0, 1.0, 101)
    handles = []
    for place, values in enumerate(groups.values()):
        style = {
            "color": COLOURS[place % len(COLOURS)],
            "linestyle": LINES[place // len(COLOURS) % len(LINES)],
            "linewidth": 1.4,
        }
        ordered = np.sort(values)
        reached = np.searchsorted(ordered, sizes, side="right") / len(ordered)
        handles += left.plot(sizes, reached - sizes, **style)
        distances = np.sort(np.abs(2.0 * values - 1.0))
        right.plot(sizes, np.searchsorted(distances, sizes, side="right") / len(distances), **style)
    label_axes(left, x="PIT", y="share of smaller PITs − PIT", title="grey: 95 % of calibrated predictions")
    label_axes(right, x="size of the central interval", y="share of values within", title="coverage")
    if len(groups) > 1:
        legend(right, handles, list(groups), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return grid
