"""Write a figure twice: as it is, for light pages, and with its colours changed for dark ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The luminance that has a contrast of 5 with a page of #131416.
DIM = 0.235


def write(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write ``path`` on white and, beside it, ``<stem>-dark.png`` without a background.

    Black text, grey lines and white areas change places with their opposites, and colours too dim for a dark
    page become lighter. Pictures, which are coloured by a map of colours, are left as they are.
    """
    figure.savefig(path, dpi=dpi)
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    for artist in figure.findobj():
        turn_colours(artist)
    figure.savefig(path.with_name(f"{path.stem}-dark{path.suffix}"), dpi=dpi)
    print(path)


def turn_colours(artist: Any) -> None:
    """Turn the colours of one artist round, whatever kinds of them it has."""
    if getattr(artist, "colors", None) is not None:
        # Contours of given colours hold them in a map of their own.
        artist.set_cmap(type(artist.cmap)(turned(artist.cmap.colors)))
    if getattr(artist, "get_array", lambda: None)() is not None:
        return
    for kind in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        read, change = getattr(artist, f"get_{kind}", None), getattr(artist, f"set_{kind}", None)
        if read is None or change is None or (kind == "color" and hasattr(artist, "set_facecolor")):
            continue
        colour = read()
        if seen(colour):
            change(turned(colour))


def luminance(colour: Any) -> float:
    """Return how bright a colour is, between 0 and 1, as guidelines for contrast define it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def seen(colour: Any) -> bool:
    """Return whether any of the colours is not fully transparent."""
    from matplotlib.colors import to_rgba_array

    return bool((to_rgba_array(colour)[:, 3] > 0.0).any())


def turned(colour: Any) -> Any:
    """Return a colour, or an array of them, for a dark page: black nearly white, dim colours lighter."""
    from matplotlib.colors import to_rgba_array

    colours = to_rgba_array(colour)
    for one in colours:
        if one[:3].max() - one[:3].min() < 0.02:
            one[:3] = 1.0 - 0.92 * one[:3]
        while luminance(one[:3]) < DIM:
            one[:3] = 0.95 * one[:3] + 0.05
    return tuple(colours[0]) if len(colours) == 1 else colours
