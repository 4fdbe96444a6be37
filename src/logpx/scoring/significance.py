"""How probable a difference is by chance, for one question and for several asked at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["distance_from_uniform", "holm", "kolmogorov", "two_sided"]

_TERMS = 101


def two_sided(z: float) -> float:
    """Return the probability that a standard normal number is as far from 0 as z; NaN if z is.

    Examples
    --------
    >>> round(two_sided(1.959964), 4), two_sided(0.0)
    (0.05, 1.0)
    """
    return math.erfc(abs(z) / math.sqrt(2.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many there are: at a level, at most so often is any of them below it.

    A p-value of NaN stays so, and is not counted.

    References
    ----------
    Holm 1979, A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [math.nan] * len(p_values)
    order = sorted(
        (place for place, p in enumerate(p_values) if not math.isnan(p)), key=lambda place: p_values[place]
    )
    least = 0.0
    for rank, place in enumerate(order):
        least = min(1.0, max(least, (len(order) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def kolmogorov(distance: float, rows: float) -> float:
    """Return the probability of a Kolmogorov-Smirnov distance at least so large, for so many numbers.

    Parameters
    ----------
    distance
        The largest difference between an empirical distribution function and the true one.
    rows
        How many numbers; for two samples of n and m numbers, n m / (n + m).

    References
    ----------
    Vrbik 2018, Small-sample corrections to Kolmogorov-Smirnov test statistic.

    Examples
    --------
    >>> round(kolmogorov(0.134, 100), 2), kolmogorov(0.0, 100)
    (0.05, 1.0)
    """
    root = math.sqrt(rows)
    scaled = root * distance + 1.0 / (6.0 * root) + (root * distance - 1.0) / (4.0 * rows)
    if distance <= 0.0 or scaled < 0.2:
        return 1.0
    terms = ((2 * (k % 2) - 1) * math.exp(-2.0 * (k * scaled) ** 2) for k in range(1, _TERMS))
    return min(1.0, max(0.0, 2.0 * sum(terms)))


def distance_from_uniform(values: npt.NDArray[np.float64]) -> float:
    """Return the largest difference between the distribution function of numbers and that of a uniform.

    Examples
    --------
    >>> distance_from_uniform(np.array([0.5])), distance_from_uniform(np.array([0.25, 0.75]))
    (0.5, 0.25)
    """
    ordered, count = np.sort(values), len(values)
    above = np.arange(1, count + 1) / count - ordered
    below = ordered - np.arange(count) / count
    return float(max(above.max(), below.max()))
