"""Columns of numbers centred and scaled so that a few strange values do not decide the unit."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

__all__ = ["RobustScales"]

# The interquartile range of a normal distribution, in standard deviations.
_INTERQUARTILE = 1.349
# However far out a few rows are.
_LEAST_SHARE = 0.1
# Beyond so many units the square of a value says no more than that it is far out, and might overflow.
_FARTHEST = 1e6


class RobustScales:
    """Medians, and interquartile ranges between a tenth and all of the standard deviation.

    The unit is the standard deviation where most rows repeat one value. Any other value of a column that
    never varies is one unit away.

    Parameters
    ----------
    x
        Shape ``(n, d)``; NaN is missing.

    Examples
    --------
    >>> scales = RobustScales(np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]]))
    >>> scales(np.array([[1.0, 9.0]]))
    array([[0., 1.]])
    """

    def __init__(self, x: npt.NDArray[np.float64]) -> None:
        # Squares of large numbers overflow in their own units.
        size = np.nanmax(np.abs(x), axis=0, initial=0.0)
        self._size = np.where(size > 0.0, size, 1.0)
        with warnings.catch_warnings():
            # A column without any value.
            warnings.simplefilter("ignore", RuntimeWarning)
            low, middle, high = np.nanpercentile(x / self._size, (25.0, 50.0, 75.0), axis=0)
            deviation = np.nanstd(x / self._size, axis=0)
        self._centre = np.nan_to_num(middle)
        self._constant = ~(deviation > 1e-12)
        middling = (high - low) / _INTERQUARTILE
        spread = np.clip(middling, _LEAST_SHARE * deviation, deviation)
        self._spread = np.where(self._constant, 1.0, np.where(middling > 0.0, spread, deviation))

    def __call__(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return rows in the new units, shape ``(n, d)``."""
        off = x / self._size - self._centre
        found = np.clip(off / self._spread, -_FARTHEST, _FARTHEST)
        near = np.abs(off) <= 1e-12
        return np.where(self._constant & ~np.isnan(x), np.where(near, 0.0, np.sign(off)), found)
