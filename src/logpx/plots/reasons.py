"""Why rows are unusual, drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logpx.errors import UsageError
from logpx.plots.appearance import COLOURS, GREY, HATCHES, label_axes, new_axes, of_results, ticks, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_anomalies"]

_MOST_ROWS = 20
_MOST_CELLS = 8
# What is impossible goes this far beyond the largest finite bar.
_IMPOSSIBLE = 1.25


@of_results
def plot_anomalies(reasons: Mapping[str, Mapping[str, float]], *, ax: Axes | None = None) -> Axes:
    """Plot what makes rows unusual: for each row its surprising cells, the longest bar the most surprising.

    Parameters
    ----------
    reasons
        By row, and then by column, the nats by which the cell is more surprising, given the others, than is
        usual for its column; infinite for impossible cells, NaN for those of which it is not known. Rows
        stand in this order, the first on top; those
        after the twentieth are left out, and of each row all but its eight most surprising cells. A row
        without columns is unusual as a whole. Or the result of `logpx.anomalies`.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no rows.

    Examples
    --------
    >>> from logpx.plots import plot_anomalies
    >>> ax = plot_anomalies({"row 7": {"price": 12.0, "carat": 3.0}, "row 9": {"price": math.inf}})
    >>> [text.get_text() for text in ax.texts]
    ['price', 'carat', 'price, impossible']
    """
    if not reasons:
        raise UsageError("there are no rows", fix="select some, such as with top=20")
    known = {
        row: {name: value for name, value in columns.items() if not math.isnan(value)}
        for row, columns in reasons.items()
    }
    rows = [(row, _largest(columns)) for row, columns in list(known.items())[:_MOST_ROWS]]
    finite = [value for _, columns in rows for value in columns.values() if math.isfinite(value)]
    farthest = max([*finite, 1.0]) * _IMPOSSIBLE
    ax = new_axes(ax, (6.0, 1.0 + sum(max(0.34, 0.14 * len(columns)) for _, columns in rows)))
    # Colours follow columns, as long as there are enough of them.
    names = sorted({name for _, columns in rows for name in columns})
    for place, (_, columns) in enumerate(rows):
        if not columns:
            ax.annotate(
                "the combination",
                (0.0, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=GREY,
            )
        height = 0.8 / max(len(columns), 1)
        for number, (name, value) in enumerate(columns.items()):
            middle = place - 0.4 + height * (number + 0.5)
            own = names.index(name)
            width = max(value, 0.0) if math.isfinite(value) else farthest
            ax.barh(
                middle,
                width,
                0.9 * height,
                color=COLOURS[own % len(COLOURS)],
                alpha=0.75,
                hatch=HATCHES[own // len(COLOURS) % len(HATCHES)],
            )
            text = words(name) + ("" if math.isfinite(value) else ", impossible")
            beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7}
            ax.annotate(text, (width, middle), (3, 0), parse_math=False, **beside)
    ticks(ax, [name for name, _ in rows], vertical=True)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0.0, 1.3 * farthest)
    label_axes(ax, x="surprise beyond the usual (nats)")
    return ax


def _largest(columns: Mapping[str, float]) -> dict[str, float]:
    """Return the most surprising cells of a row, in their order."""
    kept = sorted(columns, key=lambda name: -columns[name])[:_MOST_CELLS]
    return {name: value for name, value in columns.items() if name in kept}
