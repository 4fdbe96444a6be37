"""The format that dates and times of a column are written in, if there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logpx.tables.reading.date_format import DateFormat
from logpx.tables.reading.date_notation import ISO_FORMATS, DateNotation

__all__ = ["ambiguous_date", "dates_of_most", "recognised_dates"]

_DATES = (
    *(f"%Y{mark}%m{mark}%d" for mark in "/."),
    *(
        f"{first}{mark}{second}{mark}{year}"
        for mark in "./-"
        for first, second in (("%d", "%m"), ("%-d", "%-m"), ("%m", "%d"), ("%-m", "%-d"))
        for year in ("%Y", "%y")
    ),
    *(
        f"{day}{mark}%{month}{mark}{year}"
        for year in ("%Y", "%y")
        for mark in " -"
        for day in ("%d", "%-d")
        for month in "bB"
    ),
    *(f"%{month} {day}, %Y" for day in ("%d", "%-d") for month in "bB"),
)
_TIMES = (
    *(f"{hour}:%M{rest}" for hour in ("%H", "%-H") for rest in ("", ":%S", ":%S.%f")),
    *(f"{hour}:%M{rest}{space}%p" for hour in ("%I", "%-I") for rest in ("", ":%S") for space in (" ", "")),
)
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", *(f"%{month}{mark}%Y" for month in "bB" for mark in " -"))
_QUARTERS = (*(f"%Y{mark}Q%q" for mark in ("", "-", " ")), "Q%q %Y", "Q%q-%Y", "Q%q/%Y")
_WEEKS = ("%G-W%V", "%GW%V")
_DURATIONS = ("%H:%M:%S", "%-H:%M:%S", "%H:%M:%S.%f", "%-H:%M:%S.%f", "%H:%M", "%-H:%M")
_FORMATS = (
    *ISO_FORMATS,
    *_DATES,
    *(f"{date} {time}" for date in _DATES for time in _TIMES),
    *_TIMES,
    *_MONTHS,
    *_QUARTERS,
    *_WEEKS,
    "%Y%m%dT%H%M%S",
)
_EXAMPLES = 3
_EXAMPLES_OF_MOST = 9


def recognised_dates(text: pa.Array) -> DateNotation | None:
    """Return how dates or times are written, or None if they are none.

    Parameters
    ----------
    text : pyarrow.Array
        Cells without spaces around them, none of them null.

    Examples
    --------
    >>> recognised_dates(pa.array(["23.6.2023", "1.12.2023"])).format
    '%-d.%-m.%Y'
    """
    found = next(_fitting(text), None)
    return None if found is None else _notation(text, found)


def dates_of_most(text: pa.Array) -> DateNotation | None:
    """Return how more than half of the cells are written as dates or times, or None.

    Examples
    --------
    >>> dates_of_most(pa.array(["0000-00-00", "2023-06-23", "2023-12-01"])).format
    '%Y-%m-%d'
    """
    few = text.take(pa.array(np.linspace(0, len(text) - 1, _EXAMPLES_OF_MOST).astype(np.int64)))
    few = few.to_pylist() if len(text) else []
    for pattern, each in _patterns():
        if any(map(pattern.match, few)) and 2 * (read := each.read(text)).null_count < len(text):
            return _notation(text.filter(read.is_valid()), each)
    return None


def _notation(text: pa.Array, found: DateFormat) -> DateNotation:
    groups = pc.extract_regex(text, found.pattern)
    names = [field.name for field in groups.type]
    digits, zone = 6, "Z"
    if "f" in names:
        digits = pc.max(pc.utf8_length(groups.field(names.index("f")))).as_py()
    if "z" in names:
        zone = groups.field(names.index("z"))[0].as_py()
    return DateNotation(
        what="date" if found.dated else "duration" if found.endless else "time",
        format=found.text,
        digits=min(digits, 6),
        zone=zone,
        unit="microsecond",
    )


def ambiguous_date(text: pa.Array, found: DateNotation) -> str | None:
    """Return another format that all cells have as well, with day and month exchanged, or None."""
    swapped = _swapped(found.format or "")
    if swapped == found.format:
        return None
    other, own = DateFormat(swapped).read(text), DateFormat(found.format or "").read(text)
    return swapped if other.null_count == 0 and not other.equals(own) else None


def _swapped(text: str) -> str:
    order = text.replace("%-d", "%d").replace("%-m", "%m")
    if not order.startswith(("%d", "%m")) or "%b" in order or "%B" in order or len(order) < 6:
        return text
    return text.translate(str.maketrans("dm", "md")) if {"d", "m"} <= set(order[:6]) else text


def _fitting(text: pa.Array) -> Iterator[DateFormat]:
    """Yield the formats that all cells have; a few cells rule most formats out."""
    few = text.slice(0, _EXAMPLES).to_pylist()
    if not all(any(letter.isdigit() for letter in cell) for cell in few):
        return
    for pattern, each in _patterns():
        if all(map(pattern.match, few)) and not each.read(text).null_count:
            yield each


@cache
def _patterns() -> list[tuple[re.Pattern[str], DateFormat]]:
    # What has hours beyond 23 is no time of day.
    durations = [DateFormat(text, endless=True) for text in _DURATIONS]
    formats = [*map(DateFormat, _FORMATS), *durations]
    return [(re.compile(each.pattern, re.ASCII), each) for each in formats]
