"""Write a figure twice: as it is, for light pages, and with its greys turned round, for dark ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write ``path`` on white and, beside it, ``<stem>-dark.png`` without a background.

    Colours stay; black text, grey lines and white areas change places with their opposites. Pictures, which
    are coloured by a map of colours, are left as they are.
    """
    figure.savefig(path, dpi=dpi)
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    for artist in figure.findobj():
        turn_greys(artist)
    figure.savefig(path.with_name(f"{path.stem}-dark{path.suffix}"), dpi=dpi)
    print(path)


def turn_greys(artist: Any) -> None:
    """Turn the greys of one artist round, whatever kinds of colours it has."""
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


def seen(colour: Any) -> bool:
    """Return whether any of the colours is not fully transparent."""
    from matplotlib.colors import to_rgba_array

    return bool((to_rgba_array(colour)[:, 3] > 0.0).any())


def turned(colour: Any) -> Any:
    """Return a colour, or an array of them, with greys turned round: black becomes nearly white."""
    from matplotlib.colors import to_rgba_array

    colours = to_rgba_array(colour)
    for one in colours:
        if one[:3].max() - one[:3].min() < 0.02:
            one[:3] = 1.0 - 0.92 * one[:3]
    return tuple(colours[0]) if len(colours) == 1 else colours
