"""The coarsest uniform grid that explains values known only up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_uniform_grid", "modulo"]

_LARGEST_DIVISOR = 16
# A value says something about a step only if the step exceeds the rounding by this factor.
_INFORMATIVE = 8.0
# Nats by which the agreement must exceed chance.
_EVIDENCE = 4.0
_SHARE_INFORMATIVE = 0.5
_WIDTH = 1e-6
_GOLDEN = (math.sqrt(5) - 1) / 2
_ITERATIONS = 60

Array = NDArray[np.float64]


def fit_uniform_grid(values: Array, error: Array, weights: Array) -> tuple[float, float] | None:
    """Fit ``offset + k * step`` to values, each known up to its own error.

    The step divides the smallest gap. For each divisor, the interval of steps that can explain the gap is
    narrowed by the differences between values at distance 1, 2, 4, ..., whose multiples it determines one
    after the other.

    Parameters
    ----------
    values : numpy.ndarray of shape (m,)
        Distinct values, ascending.
    error : numpy.ndarray of shape (m,)
        How far rounding may have moved each of them.
    weights : numpy.ndarray of shape (m,)
        How often each value occurs.

    Returns
    -------
    tuple of (float, float), or None
        Step and offset of the coarsest grid that holds all values up to their errors and that chance does not
        explain; None if there is none.

    Examples
    --------
    >>> values = np.round(np.arange(8) - 5.5378, 3)
    >>> fit_uniform_grid(values, np.full(8, 5e-4), np.ones(8))
    (1.0, 0.462)
    """
    if len(values) < 2:
        return None
    gaps, slack = np.diff(values), error[1:] + error[:-1]
    informative = gaps > _INFORMATIVE / 2 * slack
    if not informative.any():
        return None
    if len(values) == 2:
        return float(f"{gaps[0]:.15g}"), float(values[0])
    smallest = int(np.flatnonzero(informative)[np.argmin(gaps[informative])])
    for divisor in range(1, _LARGEST_DIVISOR + 1):
        low = (gaps[smallest] - slack[smallest]) / divisor
        high = (gaps[smallest] + slack[smallest]) / divisor
        telling = error < high / _INFORMATIVE
        if weights[telling].sum() < _SHARE_INFORMATIVE * weights.sum() or telling.sum() < 3:
            return None
        interval = _narrowed(values[telling], error[telling], low, high)
        if interval is None:
            continue
        found = _consistent(values, error, *interval)
        if found is None:
            continue
        if _evidence(values[telling], error[telling], values[smallest], found[0], divisor) > _EVIDENCE:
            return found
    return None


def _narrowed(values: Array, error: Array, low: float, high: float) -> tuple[float, float] | None:
    stride = 1
    while stride < len(values):
        distance = values[stride:] - values[:-stride]
        slack = error[stride:] + error[:-stride]
        for _ in range(2):
            fewest = np.ceil((distance - slack) / high)
            most = np.floor((distance + slack) / low)
            if np.any((fewest > most) | (most < 1)):
                return None
            known = (fewest == most) & (fewest >= 1)
            if known.any():
                low = max(low, float(((distance - slack)[known] / most[known]).max()))
                high = min(high, float(((distance + slack)[known] / most[known]).min()))
                if low > high:
                    return None
        stride *= 2
    return low, high


def _consistent(values: Array, error: Array, low: float, high: float) -> tuple[float, float] | None:
    anchor = int(np.argmin(error))
    distance = values - values[anchor]
    multiples = np.round(distance / ((low + high) / 2))

    def room(step: float) -> tuple[float, float]:
        # The range of offsets from the anchor that all values allow; reversed if there are none.
        residual = distance - multiples * step
        return float((residual - error).max()), float((residual + error).min())

    # An interval without width is a grid forced onto values that lie on a finer one.
    least = _WIDTH * float(error.min())
    step = _shortest(low, high)
    first, last = room(step)
    if last - first <= least:
        step = _roomiest(lambda candidate: room(candidate)[1] - room(candidate)[0], low, high)
        first, last = room(step)
    if last - first <= least:
        return None
    centre, half = values[anchor] + (first + last) / 2, (last - first) / 2
    centre -= round(centre / step) * step
    return step, modulo(_shortest(centre - half, centre + half), step)


def _roomiest(width: Callable[[float], float], low: float, high: float) -> float:
    # The width is a concave function of the step: golden-section search, then the shortest step that is wide.
    inner_low, inner_high = low, high
    for _ in range(_ITERATIONS):
        left = inner_high - _GOLDEN * (inner_high - inner_low)
        right = inner_low + _GOLDEN * (inner_high - inner_low)
        if width(left) < width(right):
            inner_low = left
        else:
            inner_high = right
    best = (inner_low + inner_high) / 2
    wide_enough = width(best) / 2
    span = high - low
    for digits in range(1, 16):
        short = float(f"{best:.{digits}g}")
        if abs(short - best) <= span and width(short) >= wide_enough:
            return short
    return best


def _shortest(low: float, high: float) -> float:
    # The shortest number in an interval is the one that somebody wrote, if anybody did; else its middle.
    if low <= 0 <= high:
        return 0.0
    middle = (low + high) / 2
    for digits in range(1, 16):
        short = float(f"{middle:.{digits}g}")
        if low <= short <= high:
            return short
    return middle


def modulo(offset: float, step: float) -> float:
    """Return the point of the grid ``offset + k * step`` in [0, step), free of binary noise."""
    remainder = math.fmod(offset, step)
    remainder = remainder + step if remainder < 0 else remainder
    if min(remainder, step - remainder) < 1e-9 * step:
        return 0.0
    return float(f"{remainder:.12g}")


def _evidence(values: Array, error: Array, anchor: float, step: float, divisor: int) -> float:
    # Minus the log of the probability that random values lie so near to a grid.
    gain = np.log(step / (2 * np.maximum(error, 1e-300)))
    if divisor > 1:
        # Values on the grid of the smallest gap itself lie on every finer one, and so say nothing about it.
        distance = (values - anchor) / (step * divisor)
        news = np.abs(distance - np.round(distance)) * step * divisor > 4 * error
        return float(gain[news].sum()) - math.log(divisor)
    # The two values that say most are used up by step and offset.
    return float(np.sort(gain)[:-2].sum()) - math.log((values[-1] - values[0]) / step)
