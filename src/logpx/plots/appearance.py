"""How figures look: colours, text that is taken literally, and axes that are given or new."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from logpx.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "DIFFERENCES",
    "GREY",
    "HATCHES",
    "LINES",
    "SEQUENCE",
    "axes_grid",
    "figure_of",
    "folded",
    "label_axes",
    "legend",
    "new_axes",
    "of_results",
    "require",
    "short_numbers",
    "ticks",
    "words",
]

F = TypeVar("F", bound=Callable[..., Any])

# Four of Okabe and Ito's colours, which the colour-blind can tell apart; the others of the eight are too
# light for white paper or too dark for a dark screen. Contrast with white and with black is at least 3.
COLOURS = ("#0072B2", "#D55E00", "#C06C9A", "#009E73")
GREY = "#767676"
# A second sign beside the colour.
LINES = ("-", "--", ":", "-.")
HATCHES = ("", "//", "..", "xx")
# Both are even in lightness, and in print.
SEQUENCE = "viridis"
DIFFERENCES = "PuOr"

_LONGEST = 28
_SMALL = 9
# Between these, numbers are written with a prefix; beyond, nobody knows the prefixes.
_LARGE, _LARGEST = 1e5, 1e15


def require() -> Any:
    """Return matplotlib.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    return matplotlib


def new_axes(ax: Axes | None, size: tuple[float, float] = (5.0, 3.6)) -> Axes:
    """Return the given axes, or those of a new figure.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If `ax` is not axes.
    """
    require()
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise UsageError(f"ax is a {type(ax).__name__}", fix="give axes of matplotlib, or leave ax out")
    return ax


def axes_grid(ax: Any, rows: int, columns: int, size: tuple[float, float] = (2.4, 2.0)) -> Any:
    """Return an array of axes, shape ``(rows, columns)``: those given, or new ones within those given.

    Parameters
    ----------
    ax
        None for a new figure; single axes, whose place is divided; or an array of axes.
    rows, columns
        How many are needed.
    size
        Width and height of each in a new figure, in inches.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are fewer axes than needed.
    """
    require()
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        shape = (columns * size[0] + 0.4, rows * size[1] + 0.5)
        return pyplot.subplots(rows, columns, figsize=shape, squeeze=False, layout="constrained")[1]
    if isinstance(ax, Axes):
        if (rows, columns) == (1, 1):
            return np.array([[ax]])
        place = ax.get_subplotspec()
        if place is None:
            raise UsageError(
                "ax has no place in a grid that could be divided", fix="take it from plt.subplots"
            )
        ax.set_axis_off()
        return place.subgridspec(rows, columns).subplots(squeeze=False)
    given = np.asarray(ax, dtype=object).ravel()
    if len(given) < rows * columns or not all(isinstance(each, Axes) for each in given):
        raise UsageError(
            f"ax is not an array of {rows} × {columns} axes",
            fix=f"take it from plt.subplots({rows}, {columns}), or leave ax out",
        )
    return given[: rows * columns].reshape(rows, columns)


def of_results(function: F) -> F:
    """Let a function also take a result that has a method of the same name."""

    @functools.wraps(function)
    def plot(first: Any, *others: Any, **options: Any) -> Any:
        method = getattr(type(first), function.__name__, None)
        if method is not None:
            return method(first, *others, **options)
        return function(first, *others, **options)

    return plot  # type: ignore[return-value]


def words(text: object, longest: int = _LONGEST) -> str:
    r"""Return a text of the user's on one line, without control characters, not too long.

    Examples
    --------
    >>> words("a\nb"), words("0123456789", longest=6)
    ('a b', '01234…')
    """
    line = "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def folded(text: object, width: int) -> str:
    r"""Return a text of the user's on as many lines as a narrow place needs.

    Examples
    --------
    >>> folded("income of the household", width=12)
    'income of\nthe\nhousehold'
    """
    return "\n".join(textwrap.wrap(words(text, 60), width))


def label_axes(ax: Axes, x: object = None, y: object = None, title: object = None) -> None:
    """Set labels and title, taken literally: a dollar begins no formula."""
    for change, text, longest in ((ax.set_xlabel, x, 60), (ax.set_ylabel, y, 60), (ax.set_title, title, 90)):
        if text is not None:
            lines = [words(line, longest) for line in str(text).split("\n")]
            change("\n".join(lines), fontsize=_SMALL, parse_math=False)
    ax.tick_params(labelsize=_SMALL - 1)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def ticks(ax: Axes, names: Sequence[object], *, vertical: bool = False, slant: float = 0.0) -> None:
    """Name the places 0, 1, ... of an axis."""
    axis = ax.yaxis if vertical else ax.xaxis
    places: dict[str, Any] = {"parse_math": False, "fontsize": _SMALL - 1}
    if slant and not vertical:
        places |= {"rotation": slant, "ha": "right", "rotation_mode": "anchor"}
    axis.set_ticks(range(len(names)), [words(name) for name in names], **places)


def short_numbers(ax: Axes, values: Any, *, vertical: bool = False) -> None:
    """Write large numbers of an axis with thousands as k, millions as M, and so on."""
    if _LARGE <= float(np.abs(values).max(initial=0.0)) < _LARGEST:
        from matplotlib import ticker

        made: Any = ticker
        (ax.yaxis if vertical else ax.xaxis).set_major_formatter(made.EngFormatter(sep=""))


def legend(ax: Axes, handles: Sequence[Any], names: Sequence[object], most: int = 16, **options: Any) -> None:
    """Explain handles by names, taken literally; if there are many, the first of them."""
    if len(handles) > most:
        (blank,) = ax.plot([], [], color="none")
        handles, names = [*handles[:most], blank], [*names[:most], f"{len(handles) - most:,} more"]
    # A name that starts with an underscore would be left out.
    shown = [
        name if not name.startswith("_") else f"\u200b{name}" for name in (words(name, 60) for name in names)
    ]
    made = ax.legend(list(handles), shown, fontsize=_SMALL - 1, frameon=False, **options)
    for text in made.get_texts():
        text.set_parse_math(False)


@contextmanager
def figure_of(width: float, height: float) -> Iterator[Axes]:
    """Yield axes of a figure that nobody shows and no list keeps."""
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure.subplots()
    figure.clear()
