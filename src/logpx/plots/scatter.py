"""Rows as points: clusters, and the latent space of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.errors import UsageError
from logpx.plots.appearance import (
    COLOURS,
    GREY,
    SEQUENCE,
    folded,
    label_axes,
    legend,
    new_axes,
    of_results,
    ticks,
)
from logpx.plots.bins import limits_of, spans_decades
from logpx.plots.columns import Numbers, PlottedColumn, columns_of, matched, with_common_levels
from logpx.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_clusters", "plot_latent"]

_MARKERS = ("o", "^", "s", "D", "v")
_MOST_POINTS = 2000
_MOST_GROUPS = len(_MARKERS) * len(COLOURS)


@of_results
def plot_clusters(
    data: Any, clusters: Any, *, columns: Sequence[str | int] | None = None, ax: Axes | None = None
) -> Axes:
    """Plot rows by the cluster they belong to, in the two columns that tell the clusters apart best.

    Parameters
    ----------
    data
        Rows, as in `plot_marginals`.
    clusters
        A number for each row.
    columns
        Two columns to use instead.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there is not one cluster for each row, or not two columns are named.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_clusters
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> x[:50, 2] += 9.0
    >>> plot_clusters(x, np.arange(100) < 50).get_ylabel()
    'x[2]'
    """
    found = [column for (column,) in matched(data, None, columns)]
    groups = np.asarray(clusters)
    if groups.shape != found[0].values.shape:
        raise UsageError(
            f"clusters of shape {groups.shape} for {counted(len(found[0].values), 'row')}",
            fix="give one for each row",
        )
    if columns is None:
        places = sorted(range(len(found)), key=lambda place: -_separation(found[place], groups))[:2]
        found = [found[place] for place in sorted(places)]
    if not 1 <= len(found) <= 2:
        raise UsageError(counted(len(found), "column"), fix="name two columns")
    ax = new_axes(ax, (5.2, 4.2))
    values, counts = np.unique(groups, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    x, y = found[0], found[-1] if len(found) == 2 else None
    _scatter_groups(
        ax, x, y, groups, [(values[place], f"{values[place]}: {counts[place]:,}") for place in order]
    )
    number = f"{len(values):,} cluster{'s' * (len(values) != 1)}"
    label_axes(
        ax,
        x=x.name,
        y=None if y is None else folded(y.name, 40),
        title=f"{number} of {counted(len(groups), 'row')}",
    )
    return ax


def _separation(column: PlottedColumn, groups: np.ndarray[Any, Any]) -> float:
    """Return the share of a column's variance that lies between the clusters."""
    there = np.isfinite(column.values)
    values = column.values[there]
    if len(values) < 2 or values.min() == values.max():
        return 0.0
    # Ranks, so that far values do not decide; labels are codes, and count by how often they fall together.
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    _, places = np.unique(groups[there], return_inverse=True)
    counts = np.bincount(places)
    means = np.bincount(places, ranks) / counts
    spread = float(((ranks - ranks.mean()) ** 2).sum())
    return float(counts @ (means - ranks.mean()) ** 2) / spread


@of_results
def plot_latent(z: Any, *, colour: Any = None, name: str = "", ax: Axes | None = None) -> Axes:
    """Plot the latent representation of rows, perhaps coloured by a column.

    Parameters
    ----------
    z
        Posterior means, shape ``(n, q)``: the two dimensions with the largest variance are shown.
    colour
        Numbers or labels, shape ``(n,)``.
    name
        What they are called.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no rows, or not one colour for each.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_latent
    >>> plot_latent(np.random.default_rng(0).normal(size=(100, 3))).get_xlabel()[:2]
    'z['
    """
    dimensions = [column.values for column in columns_of(z).values()]
    order = np.argsort([-float(np.nanvar(values)) for values in dimensions], kind="stable")[:2]
    first, *others = sorted(order.tolist())
    x = PlottedColumn(f"z[{first}]", dimensions[first])
    y = PlottedColumn(f"z[{others[0]}]", dimensions[others[0]]) if others else None
    tint = None
    if colour is not None:
        (tint,) = with_common_levels(list(columns_of({name or "colour": colour}).values()))
    if tint is not None and tint.values.shape != x.values.shape:
        raise UsageError(
            f"{len(tint.values):,} colours for {counted(len(x.values), 'row')}", fix="give one for each"
        )
    ax = new_axes(ax, (5.2, 4.2))
    if tint is None or tint.levels is not None:
        groups = np.zeros(len(x.values)) if tint is None else np.nan_to_num(tint.values, nan=-1.0)
        named = (
            []
            if tint is None
            else [(float(place), level or '""') for place, level in enumerate(tint.levels or ())]
        )
        _scatter_groups(ax, x, y, groups, named or [(0.0, "")])
    else:
        few = _few(len(x.values))
        low, high = limits_of([tint])
        drawn = ax.scatter(
            x.values[few],
            _heights(y, len(x.values))[few],
            s=7,
            c=tint.values[few],
            cmap=SEQUENCE,
            vmin=low,
            vmax=high,
            linewidths=0,
            rasterized=True,
        )
        bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02)
        label_axes(bar.ax, y=name)
    several = f", of {len(dimensions)} dimensions" if len(dimensions) > 2 else ""
    label_axes(ax, x=x.name, y=None if y is None else y.name, title=f"latent means{several}")
    return ax


def _heights(y: PlottedColumn | None, count: int) -> Numbers:
    # One column has only the width; points are spread so that they can be told apart.
    return np.random.default_rng(0).uniform(-1.0, 1.0, count) if y is None else y.values


def _few(count: int) -> np.ndarray[Any, Any]:
    return np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(np.int64)


def _scatter_groups(
    ax: Axes,
    x: PlottedColumn,
    y: PlottedColumn | None,
    groups: np.ndarray[Any, Any],
    named: Sequence[tuple[Any, str]],
) -> None:
    few = _few(len(x.values))
    rng = np.random.default_rng(0)
    heights = _heights(y, len(x.values))
    places = [
        values + (0.0 if column is None or column.levels is None else rng.uniform(-0.3, 0.3, len(values)))
        for column, values in ((x, x.values), (y, heights))
    ]
    handles, explained = [], []
    for place, (group, name) in enumerate(named):
        among = few[groups[few] == group]
        colour = COLOURS[place % len(COLOURS)] if place < _MOST_GROUPS else GREY
        marker = _MARKERS[place // len(COLOURS) % len(_MARKERS)]
        (drawn,) = ax.plot(
            places[0][among],
            places[1][among],
            marker,
            color=colour,
            markersize=3.0,
            alpha=0.6,
            markeredgewidth=0,
            rasterized=True,
        )
        if name:
            handles.append(drawn)
            explained.append(name)
    for vertical, column in ((False, x), (True, y)):
        if column is None:
            ax.set_yticks([])
        elif column.levels is not None:
            ticks(ax, column.levels, vertical=vertical, slant=40.0)
        elif spans_decades([column]):
            (ax.set_yscale if vertical else ax.set_xscale)("log")
        elif len(column.present):
            low, high = limits_of([column])
            margin = 0.04 * (high - low)
            (ax.set_ylim if vertical else ax.set_xlim)(low - margin, high + margin)
    if handles:
        beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "markerscale": 2.0}
        legend(ax, handles, explained, _MOST_GROUPS, **beside)
