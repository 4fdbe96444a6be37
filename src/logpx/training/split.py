"""The choice of validation rows: a pure function of the seed and the row's index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from logpx.errors import UsageError

__all__ = ["MOST_VALIDATION_ROWS", "row_keys", "validation_count"]

# Their mean has a standard error of 0.5 % of one row's spread: more rows would not choose better.
MOST_VALIDATION_ROWS = 50_000

_FEWEST_ROWS_TO_SPLIT = 10
_DEFAULT_FRACTION = 0.1
_USEFUL_VALIDATION_ROWS = 100


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def row_keys(rows: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a pseudo-random key for each row index; different rows have different keys.

    The rows with the smallest keys are the validation rows, so that a stream and an array of the same
    rows are split alike, however the stream is cut into batches.

    Parameters
    ----------
    rows
        Row indices, counted from 0.
    seed
        Any integer.

    References
    ----------
    Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators (the finaliser of SplitMix64).

    Examples
    --------
    >>> keys = row_keys(np.arange(1000), seed=0)
    >>> len(set(keys.tolist()))
    1000
    """
    offset = _mix(np.array([seed % 2**64], np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    # An odd multiplier and the finaliser are one-to-one on 64 bits, hence no ties.
    return _mix(rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + offset)


def validation_count(rows: int, fraction: float | None) -> int:
    """Return how many of the rows are set aside.

    By default a tenth, but up to a quarter of small data, as a handful of rows cannot tell a better model
    from a worse one; none below ten rows. Never more than `MOST_VALIDATION_ROWS`.

    Raises
    ------
    UsageError
        If the fraction is not in [0, 1).

    Examples
    --------
    >>> [validation_count(n, None) for n in (5, 20, 200, 10_000, 10_000_000)]
    [0, 5, 50, 1000, 50000]
    """
    if fraction is None:
        if rows < _FEWEST_ROWS_TO_SPLIT:
            return 0
        wanted = max(round(_DEFAULT_FRACTION * rows), min(_USEFUL_VALIDATION_ROWS, rows // 4))
    elif 0.0 <= fraction < 1.0:
        wanted = min(round(fraction * rows), rows - 2)
    else:
        raise UsageError(
            f"a validation fraction of {fraction}", fix="give a number from 0 up to, not including, 1"
        )
    return max(0, min(wanted, MOST_VALIDATION_ROWS))
