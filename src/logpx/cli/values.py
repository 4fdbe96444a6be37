"""Values of options that are not plain numbers or text."""

from __future__ import annotations

import math
import re

import typer

__all__ = ["parse_count", "parse_duration", "parse_levels"]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str) -> float:
    """Return seconds from a duration like 90s, 10m or 1h30m; a number alone is seconds.

    Raises
    ------
    typer.BadParameter
        If the text is not a duration above 0.

    Examples
    --------
    >>> parse_duration("90s"), parse_duration("10m"), parse_duration("1h30m")
    (90.0, 600.0, 5400.0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    hours, minutes, seconds = match.groups() if match else (None, None, None)
    total = 3600.0 * float(hours or 0.0) + 60.0 * float(minutes or 0.0) + float(seconds or 0.0)
    if not 0.0 < total < math.inf:
        raise typer.BadParameter(f"{text!r} is not a duration above 0; write 90s, 10m or 1h30m")
    return total


def parse_levels(text: str) -> list[float]:
    """Return numbers from a list like 0.05,0.5,0.95.

    Raises
    ------
    typer.BadParameter
        If the text is not such a list.

    Examples
    --------
    >>> parse_levels("0.05, 0.95")
    [0.05, 0.95]
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers; write 0.05,0.5,0.95") from None


def parse_count(text: str) -> int:
    """Return a whole number that may be written like 1000, 1_000 or 1e6.

    Raises
    ------
    typer.BadParameter
        If the text is not a whole number of 0 or more.

    Examples
    --------
    >>> parse_count("1e6")
    1000000
    """
    try:
        number = int(text)
    except ValueError:
        try:
            value = float(text)
            number = int(value)
        except (ValueError, OverflowError):
            number, value = -1, 0.0
        if number != value:
            number = -1
    if number < 0:
        raise typer.BadParameter(f"{text!r} is not a whole number of 0 or more; write 1000 or 1e6")
    return number
