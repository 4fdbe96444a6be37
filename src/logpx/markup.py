"""HTML of results, for notebooks and reports: everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["card", "facts", "html_table", "plain_text"]

# Colours are the page's own, so that a card can be read on light and on dark.
_CARD = "border:1px solid rgba(128,128,128,.5);border-radius:6px;padding:.6em .9em;max-width:60em"
_CELL = "padding:.1em .8em .1em 0;vertical-align:top;background:none"


def plain_text(value: object) -> str:
    r"""Escape a text for HTML, on one line, without control characters.

    Examples
    --------
    >>> plain_text("<script>\x07")
    '&lt;script&gt;?'
    """
    line = " ".join(str(value).split())
    return escape("".join(c if c.isprintable() else "?" for c in line))


def facts(values: Mapping[str, object]) -> str:
    """Return names and values as a table of two columns.

    Examples
    --------
    >>> "<th" in facts({"rows": 3})
    True
    """
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL};text-align:left;font-weight:normal;opacity:.75">'
        f'{plain_text(name)}</th><td style="{_CELL};text-align:left">{plain_text(value)}</td></tr>'
        for name, value in values.items()
    )
    return f'<table style="border-collapse:collapse">{rows}</table>'


def html_table(rows: Sequence[Mapping[str, object]], most: int = 20) -> str:
    """Return rows with equal keys as a table, numbers on the right; say how many are left out.

    Examples
    --------
    >>> html_table([{"name": "<a>", "mean": "1.0"}]).count("&lt;a&gt;")
    1
    """
    if not rows:
        return ""
    names = list(rows[0])
    sides = {name: "right" if _are_numbers([row[name] for row in rows]) else "left" for name in names}
    head = "".join(
        f'<th scope="col" style="{_CELL};text-align:{sides[name]}">{plain_text(name)}</th>' for name in names
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL};text-align:{sides[name]}">{plain_text(row[name])}</td>' for name in names
        )
        + "</tr>"
        for row in rows[:most]
    )
    more = f"<div>and {len(rows) - most:,} more</div>" if len(rows) > most else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"{table}{more}"


def card(title: object, first: object, *parts: str) -> str:
    """Return a frame with a title, the most important sentence, and parts that are HTML already.

    Examples
    --------
    >>> card("Posterior", "trust", facts({"k-hat": 0.2})).startswith("<div")
    True
    """
    head = f"<div><strong>{plain_text(title)}</strong></div>"
    said = f'<div style="margin:.3em 0">{plain_text(first)}</div>'
    return f'<div style="{_CARD}">{head}{said}{"".join(parts)}</div>'


def _are_numbers(values: Sequence[object]) -> bool:
    shown = [str(value).replace(",", "").replace("−", "-").split(" ± ")[0] for value in values]
    try:
        for value in shown:
            if value not in ("", "-"):
                float(value)
    except ValueError:
        return False
    return any(value not in ("", "-") for value in shown)
