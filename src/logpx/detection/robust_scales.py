"""Columns of numbers centred and scaled so that a few strange values do not decide the unit."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

__all__ = ["VARIANCE", "RobustScales"]

#: Added to the variances of scaled columns: neither repeated values nor few rows make a spike.
VARIANCE = 0.1
# The interquartile range of a normal distribution, in standard deviations.
_INTERQUARTILE = 1.349
# However far out a few rows are.
_LEAST_SHARE = 0.1
# In interquartile ranges: farther values, such as a number written for a missing one, count as being there.
_OUTERMOST = 1e4
# Squares of larger numbers overflow.
_LARGEST = 1e140
# Beyond so many units the square of a value says no more than that it is far out, and might overflow.
_FARTHEST = 1e6
# Values beside the one that repeats which are like labels.
_FEW = 5
# Of a value of the usual size, what differs by less is the same.
_SAME = 1e-12


class RobustScales:
    r"""Medians, and interquartile ranges between a tenth and all of the standard deviation.

    Where most rows repeat one value, the unit is the standard deviation. If they do and there are at most
    five others, which a share q of the rows has, these are as surprising as they are rare: the unit is such
    that the median of their distances is :math:`\sqrt{-2 v \log q}`, with the least variance v of the
    mixtures. Any other value of a column that never varies is one unit away.

    Parameters
    ----------
    x
        Shape ``(n, d)``; NaN is missing.
    scaled
        Which columns are scaled, shape ``(d,)``; all by default. The others stay as they are.

    Examples
    --------
    >>> scales = RobustScales(np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]]))
    >>> scales(np.array([[1.0, 9.0]]))
    array([[0., 1.]])
    """

    def __init__(self, x: npt.NDArray[np.float64], scaled: npt.NDArray[np.bool_] | None = None) -> None:
        with warnings.catch_warnings():
            # A column without any value.
            warnings.simplefilter("ignore", RuntimeWarning)
            # Squares of large numbers overflow in their own units, and single ones say nothing of the unit.
            size = np.nanmedian(np.where(x == 0.0, np.nan, np.abs(x)), axis=0)
            self._size = np.where(size > 0.0, size, 1.0)
            y = self._sized(x)
            low, middle, high = np.nanpercentile(y, (25.0, 50.0, 75.0), axis=0)
            outermost = np.where(high - low > _SAME, _OUTERMOST * (high - low), _LARGEST)
            deviation = np.nanstd(np.clip(y, middle - outermost, middle + outermost), axis=0)
        self._centre = np.nan_to_num(middle)
        self._constant = ~(deviation > _SAME)
        middling = (high - low) / _INTERQUARTILE
        spread = np.clip(middling, _LEAST_SHARE * deviation, deviation)
        for column in np.flatnonzero(~self._constant & ~(middling > _SAME)):
            off = y[:, column] - self._centre[column]
            spread[column] = _unit_of_rare(off) if _are_few(off) else deviation[column]
        self._spread = np.where(self._constant, 1.0, spread)
        self._scaled = np.ones(x.shape[1], dtype=bool) if scaled is None else scaled

    def __call__(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return rows in the new units, shape ``(n, d)``."""
        off = self._sized(x) - self._centre
        found = np.clip(off / self._spread, -_FARTHEST, _FARTHEST)
        other = np.where(np.abs(off) <= _SAME, 0.0, np.sign(off))
        return np.where(self._scaled, np.where(self._constant & ~np.isnan(x), other, found), x)

    def _sized(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        with np.errstate(over="ignore"):
            return np.clip(x / self._size, -_LARGEST, _LARGEST)


def _are_few(off: npt.NDArray[np.float64]) -> bool:
    return len(np.unique(np.round(off[~np.isnan(off)] / _SAME))) <= _FEW + 1


def _unit_of_rare(off: npt.NDArray[np.float64]) -> float:
    """Return the unit of a column that mostly repeats one value, given the distances from it."""
    distances = np.abs(off[~np.isnan(off)])
    others = distances[distances > _SAME]
    share = (len(others) + 0.5) / (len(distances) + 1.0)
    return float(np.median(others) / np.sqrt(-2.0 * VARIANCE * np.log(share)))
