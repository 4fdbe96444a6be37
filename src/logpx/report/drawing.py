"""Drawings of `logpx.plots` as SVG that can stand in a page: in its colours, with ids of their own."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.errors import MissingExtraError
from logpx.report.parts import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Drawing", "require_plots"]

# Replaced by the colour of the page's text, so that a figure suits light and dark pages.
_INK = "#010203"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "logpx",
    "font.family": ["sans-serif"],
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.dpi": 100.0,
    "savefig.dpi": 130.0,
    "text.usetex": False,
}
# Of many panels or names, a listener is told of the first.
_PANELS_IN_WORDS, _NAMES_IN_WORDS = 6, 12
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def require_plots() -> None:
    """Raise unless matplotlib is installed.

    Raises
    ------
    MissingExtraError
        With the command that installs it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error


class Drawing:
    """Draws the figures of one page, whose ids do not clash.

    Examples
    --------
    >>> figure = Drawing().figure("Weights", lambda ax: ax.plot([0, 1], [0, 1]))
    >>> figure.svg.startswith("<svg"), "currentColor" in figure.svg
    (True, True)
    """

    def __init__(self) -> None:
        self._count = 0

    def figure(
        self,
        title: str,
        draw: Callable[[Axes], Any],
        *,
        caption: str = "",
        size: tuple[float, float] = (4.6, 3.4),
        wide: bool = False,
    ) -> Figure:
        """Return a figure of what a function draws on axes.

        Parameters
        ----------
        title, caption, wide
            As in `Figure`.
        draw
            Draws on the axes that it is given.
        size
            Width and height in inches.
        """
        from matplotlib import rc_context
        from matplotlib.figure import Figure as Canvas

        self._count += 1
        content = io.StringIO()
        with rc_context(_STYLE), warnings.catch_warnings():
            # Text is set by the browser, with fonts that have what is missing here.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            canvas = Canvas(figsize=size, layout="constrained")
            draw(canvas.subplots())
            # Once: saving would draw everything another time to lay it out.
            layout = canvas.get_layout_engine()
            if layout is not None:
                layout.execute(canvas)
                canvas.set_layout_engine("none")
            canvas.savefig(content, format="svg", metadata=_METADATA)
            panels = _panels(canvas)
        svg = _inline(content.getvalue(), f"f{self._count}", title, panels)
        return Figure(svg=svg, title=title, caption=caption, wide=wide)


def _panels(canvas: Any) -> list[dict[str, Any]]:
    """Return where axes lie in the drawing and which values they show, for whoever points at them."""
    width, height = (72.0 * inches for inches in canvas.get_size_inches())
    found = []
    for ax in canvas.axes:
        if not ax.axison or ax.images:
            continue
        box = ax.get_position()
        panel: dict[str, Any] = {
            "box": [box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height],
            "title": ax.get_title(),
        }
        for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
            low, high = axis.get_view_interval()
            if ax.name != "rectilinear" or not np.isfinite([low, high]).all():
                continue
            labels = [text.get_text() for text in axis.get_ticklabels()]
            places = [float(place) for place in axis.get_ticklocs()]
            is_named = not all(_looks_like_a_number(label) for label in labels)
            panel[name] = {
                "from": float(low),
                "to": float(high),
                "log": axis.get_scale() == "log",
                "label": axis.get_label_text(),
                "names": list(zip(places, labels, strict=False)) if is_named else [],
                "shown": bool(places),
            }
        found.append(panel)
    return found


def _axes_in_words(panels: list[dict[str, Any]]) -> list[str]:
    """Return what the axes of a drawing show, for whoever does not see it."""
    found = []
    for panel in panels[:_PANELS_IN_WORDS]:
        axes = [(name, panel[name]) for name in ("x", "y") if panel.get(name, {}).get("shown")]
        said = []
        for name, axis in axes:
            named = [label for _, label in axis["names"] if label]
            if named:
                said.append(f"{axis['label'] or name} {', '.join(named[:_NAMES_IN_WORDS])}")
            else:
                said.append(f"{axis['label'] or name} from {axis['from']:.3g} to {axis['to']:.3g}")
        if said:
            found.append(f"{panel['title'] or 'Axes'}: {'; '.join(said)}.")
    return found + (["And so on."] if len(panels) > _PANELS_IN_WORDS else [])


def _looks_like_a_number(label: str) -> bool:
    plain = re.sub(r"\$|\\mathdefault|[{}^−]|10|×", "", label).replace("−", "-").strip()
    return not plain or re.fullmatch(r"[-+\d.,e ]+", plain) is not None


def _inline(text: str, prefix: str, title: str, panels: list[dict[str, Any]]) -> str:
    """Return an SVG document as an element of a page."""
    svg = text[text.index("<svg") :]
    svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    # What is only for other programs, with addresses in it.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, _, rest = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    shown = escape(json.dumps(panels, ensure_ascii=False), quote=True)
    name = escape(" ".join([f"{title}.", *_axes_in_words(panels)]), quote=True)
    opened = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{box.group() if box else ""} role="img" aria-label="{name}" data-panels="{shown}"'
    )
    return f"{opened}>{rest}".strip()
