"""Whether a few evenly spaced numbers are the grades of a scale, such as answers from 1 to 7."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

__all__ = ["scale_of_grades"]

_LAST_GRADE = 10
_LAST_GRADE_ABOUT_ZERO = 5
_LAST_OF_FEW_GRADES = 5
_LEAST_ROWS = 20
_LEAST_ROWS_PER_GRADE = 3
# Counts vary as a Poisson distribution does, or more, and have their long tail above. Of numbers from 1 on
# most are grades, of numbers from 0 on most are counts.
_VARIANCE_OF_COUNTS = 0.8
_SKEWNESS_OF_COUNTS = 1.0
_VARIANCE_OF_GRADES = 0.6


def scale_of_grades(values: Array, counts: Counts) -> tuple[float, float] | None:
    """Return the first and the last grade of a scale, or None if numbers do not look like grades.

    A scale has at most ten steps from 0, or five to either side of it, and each grade has several rows. Its
    first grade is 0 if that occurs, and else the first step; its last one is the largest number. Counts are
    no grades: they have a long tail above, and vary at least as much as a Poisson distribution. Up to five
    grades from 1 on may do so, too.

    Parameters
    ----------
    values, counts
        The different numbers, ascending, at least two; and how many rows each has.

    Examples
    --------
    >>> scale_of_grades(np.array([2.0, 3.0, 4.0, 5.0]), np.array([2, 9, 13, 6]))
    (1.0, 5.0)
    >>> scale_of_grades(np.array([0.0, 1.0, 2.0, 3.0]), np.array([16, 10, 3, 1]))  # counts
    """
    rows = int(counts.sum())
    if rows < max(_LEAST_ROWS, _LEAST_ROWS_PER_GRADE * len(values)):
        return None
    step = float(np.diff(values).min())
    grades = np.rint(values / step)
    first, last = float(grades[0]), float(grades[-1])
    if not np.allclose(values / step, grades, atol=1e-3) or last > _LAST_GRADE:
        return None
    if first < 0:
        end = max(-first, last)
        return (-end * step, end * step) if end <= _LAST_GRADE_ABOUT_ZERO else None
    from_first = grades - min(first, 1.0)
    mean = float(np.average(from_first, weights=counts))
    variance = float(np.average((from_first - mean) ** 2, weights=counts))
    skewness = float(np.average((from_first - mean) ** 3, weights=counts)) / variance**1.5
    if first == 0:
        graded = variance < _VARIANCE_OF_GRADES * mean or skewness < 0.0
        return (0.0, float(values[-1])) if graded else None
    counted = variance >= _VARIANCE_OF_COUNTS * mean and skewness >= _SKEWNESS_OF_COUNTS
    return (
        None
        if counted and last > _LAST_OF_FEW_GRADES
        else (float(values[0]) if first == 1 else step, float(values[-1]))
    )
