"""Where the values of a column end, as far as the values themselves are evidence for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from logpx.tables.schema.grades import scale_of_grades
from logpx.tables.schema.summaries import NumberSummary

Counts = NDArray[np.int64]

__all__ = ["Ends", "claimed_ends", "never_negative"]

_FEW_VALUES = 20
_LEAST_ROWS = 5
# Where all digits count, fewer are evidence enough.
_LEAST_ROWS_WITHOUT_GRID = 3
# If more than so many of the values next to an end repeat, numbers are rounded, and repeat by chance.
_NEARBY, _REPEATING = 50, 0.05
_LEAST_ROWS_OF_MANY = 20
_LEAST_SHARE_OF_MANY = 0.01
_ROWS_FOR_COUNTS = 5
# No chance puts several values of a few dozen at both ends of such a range, and none beyond.
_SHARES = ((0.0, 1.0), (0.0, 100.0))


@dataclass(frozen=True)
class Ends:
    """The smallest and the largest possible value, None where nothing is known, and why."""

    lower: float | None = None
    upper: float | None = None
    reason: str = ""


def claimed_ends(summary: NumberSummary, *, gridded: bool) -> Ends:
    """Return the ends that a column of numbers gives evidence for.

    A column of 0 and 1 has no other values. Whole numbers without a negative one are counts. Values end at
    the smallest or the largest one if the next one, going by how the numbers of rows fall off towards the
    end, should have occurred five times and never did; where values near the end repeat by rounding, the end
    itself has to be shared by many rows. Few grades that many rows share end with their scale.

    Parameters
    ----------
    summary : NumberSummary
        What is known about the values.
    gridded : bool
        Whether the values lie on a grid.

    Examples
    --------
    >>> from logpx.tables.reading.column_types import ColumnType
    >>> def ends_of(values):
    ...     summary = NumberSummary(ColumnType.NUMBER)
    ...     summary.add(values, 0)
    ...     summary.sample = values
    ...     ends = claimed_ends(summary, gridded=True)
    ...     return ends.lower, ends.upper
    >>> ends_of(np.repeat(np.arange(1.0, 7.0), 50)), ends_of(np.array([9.0, 3.0, 2.0] * 10 + [30.0]))
    ((1.0, 6.0), (2.0, None))
    """
    low, high = summary.minimum, summary.maximum
    if summary.infinite or not len(summary.sample) or low == high:
        return Ends()
    if summary.whole and (low, high) == (0.0, 1.0):
        return Ends(0.0, 1.0, "only 0 and 1")
    values, counts = np.unique(np.append(summary.sample, [low, high]), return_counts=True)
    counts[[0, -1]] -= 1
    if (low, high) in _SHARES and min(counts[0], counts[-1]) >= _LEAST_ROWS_WITHOUT_GRID:
        return Ends(low, high, f"none outside {low:g} to {high:g}")
    first, last = _ends_here(counts, gridded), _ends_here(counts[::-1], gridded)
    if summary.whole and last and low in (0.0, 1.0):
        # A scale with a last grade starts at its first one, however rare that is.
        first = first or len(values) <= _FEW_VALUES
    if first and last:
        return Ends(low, high, f"none outside {low:g} to {high:g}")
    scale = scale_of_grades(values, counts) if gridded else None
    if scale is not None:
        lower, upper = low if first else scale[0], scale[1]
        return Ends(lower, upper, f"few values, a scale from {lower:g} to {upper:g}")
    if last:
        floor = _floor(summary, counts, gridded)
        return Ends(floor.lower, high, "; ".join(filter(None, [floor.reason, f"none above {high:g}"])))
    return Ends(low, None, f"none below {low:g}") if first else _floor(summary, counts, gridded)


def never_negative(summary: NumberSummary) -> bool:
    """Tell whether no value is negative, of rows enough to say that none will be."""
    return summary.minimum >= 0 and len(summary.sample) >= _ROWS_FOR_COUNTS


def _floor(summary: NumberSummary, counts: Counts, gridded: bool) -> Ends:
    # Ratings in halves are counts, too.
    counted = (summary.whole or (gridded and len(counts) <= _FEW_VALUES)) and never_negative(summary)
    zeros = summary.minimum == 0 and counts[0] >= _least(gridded)
    return Ends(0.0, None, "none below 0") if counted or zeros else Ends()


def _ends_here(counts: Counts, gridded: bool) -> bool:
    """Return whether values end with the first of these, given the rows of each, from an end inwards."""
    here, inwards = float(counts[0]), float(counts[1])
    gridded = gridded or float((counts[1 : _NEARBY + 1] > 1).mean()) > _REPEATING
    fewest = _least(gridded)
    if here < fewest:
        return False
    if gridded and len(counts) > _FEW_VALUES:
        # Round numbers are frequent even where values do not end.
        least = max(_LEAST_ROWS_OF_MANY, _LEAST_SHARE_OF_MANY * float(counts.sum()))
        if here < least:
            return False
    if len(counts) == 2:
        return True
    return here * min(1.0, here / max(inwards, 1.0)) >= fewest


def _least(gridded: bool) -> int:
    return _LEAST_ROWS if gridded else _LEAST_ROWS_WITHOUT_GRID
