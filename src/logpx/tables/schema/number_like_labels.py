"""Labels that look like numbers in a notation that is not known, such as those with a unit."""

from __future__ import annotations

import re
from collections import Counter

from logpx.tables.schema.summaries import TextSummary

__all__ = ["number_like_note"]

_FEWEST = 10
_SHARE = 0.9
_NUMBER = re.compile(r"[+\-\u2212]?[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?")
_LONGEST_UNIT = 12


def number_like_note(summary: TextSummary) -> str | None:
    """Return a note if nine in ten labels are numbers before one and the same text, and many differ.

    Whole numbers without a unit are codes, such as those of places.

    Examples
    --------
    >>> from logpx.tables.reading.column_types import ColumnType
    >>> weights = TextSummary(ColumnType.TEXT, rows=12, values={f"{60 + n} kg": 1 for n in range(12)})
    >>> number_like_note(weights)
    "the labels look like numbers, such as '60 kg': to model them as numbers, convert the column"
    """
    labels = list(summary.values)
    if len(labels) < _FEWEST:
        return None
    units: Counter[str] = Counter()
    signs = False
    for label in labels:
        number = _NUMBER.match(label)
        unit = None if number is None else label[number.end() :]
        if number is None or unit is None or len(unit) > _LONGEST_UNIT or re.search("[0-9]", unit):
            continue
        units[unit] += 1
        signs |= not number[0].isdigit()
    if not units:
        return None
    unit, count = units.most_common(1)[0]
    if count < _SHARE * len(labels) or not (unit or signs):
        return None
    return (
        f"the labels look like numbers, such as {labels[0]!r}: to model them as numbers, convert the column"
    )
