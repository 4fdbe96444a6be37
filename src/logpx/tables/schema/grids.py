"""Whether the values of a column lie on a grid, on which a density could spike without limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from logpx.tables.schema.printed import Printed, printed_precision
from logpx.tables.schema.uniform_grid import fit_uniform_grid, modulo

__all__ = ["Grid", "detect_grid"]

Array = NDArray[np.float64]

_SHARED = 0.05
_COLLISION = 1e-4
_TOP_SHARE = 0.01
_TOP_COUNT = 5
_OVERWHELMING = math.log(1e12)
_CONVINCING = math.log(1e4)
_UNSEEN = 0.01
_ROWS_FOR_UNSEEN = 100
_FEW_DECIMALS = 6
# A grid that is exact in decimals is not given up for a hardly coarser one that fits up to rounding.
_COARSER = 9.5
_LARGEST_WHOLE = 2.0**53
_LARGEST_EXPONENT = 500
_EXACT = 1e-9
_EXACT_CELLS = 5e-4
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Grid:
    """The grid of a column.

    Attributes
    ----------
    step : float
        The distance between its points.
    offset : float
        The grid is ``offset + k * step`` for whole k.
    uniform : bool
        Whether all values lie on the grid. If not, the step is about the smallest gap between two values.
    rounding : float
        How far from the grid the values may have been written.
    """

    step: float
    offset: float
    uniform: bool = True
    rounding: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether all its points are whole numbers, exactly."""
        exact = self.uniform and self.rounding == 0.0
        return exact and self.step.is_integer() and self.offset.is_integer()

    def scaled(self, exponent: int) -> Grid:
        """Return the grid of the values times a power of two."""
        with np.errstate(over="ignore"):
            scaled = np.minimum(np.ldexp([self.step, self.offset, self.rounding], exponent), _LARGEST)
        step, offset, rounding = scaled.tolist()
        return Grid(step, offset, self.uniform, rounding)


def detect_grid(values: Array) -> Grid | None:
    r"""Find the grid that the values of a column lie on, if they repeat enough to need one.

    Whole numbers always have a grid, of step 1, or of a larger step if the evidence is overwhelming. Other
    values have one if a density could profit from spikes at single values: one value holds 1 % of the rows,
    or 5 % of the rows share their value with another row and two random rows agree with probability at least
    :math:`10^{-4}` (effectively no more than 10 000 values). Fewer ties than these are accidental.

    The grid is then the coarsest that explains all values up to the precision they were written with; centred
    or scaled whole numbers are found, too. Values written with few decimals lie on the grid of the last one.
    If there is no uniform grid, the step is a width for noise, no larger than the smallest gap between two
    values.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)
        Finite values, a sample of the column.

    Examples
    --------
    >>> detect_grid(np.array([0.25, 0.5, 0.5, 1.25, 2.0, 0.25]))
    Grid(step=0.25, offset=0.0, uniform=True, rounding=0.0)
    >>> detect_grid(np.random.default_rng(0).normal(size=1000)) is None
    True
    """
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    if len(distinct) == 0:
        return None
    if bool(np.all(distinct == np.floor(distinct))) and float(np.abs(distinct).max()) < _LARGEST_WHOLE:
        return _whole_grid(distinct)
    if len(distinct) == 1 or not _repeats(counts):
        return None
    _, exponent = math.frexp(float(np.abs(distinct).max()))
    if abs(exponent) > _LARGEST_EXPONENT:
        # Away from the ends of the float range, no difference overflows and no step vanishes.
        return _fractional_grid(np.ldexp(distinct, -exponent), counts).scaled(exponent)
    return _fractional_grid(distinct, counts)


def _fractional_grid(distinct: Array, counts: NDArray[np.int64]) -> Grid:
    printed = printed_precision(distinct)
    distinct, counts, printed = _merged(distinct, counts, printed)
    if len(distinct) == 1:
        # One value computed in several ways: the cell is as wide as the results may differ.
        return Grid(4 * float(printed.noise[0]), float(distinct[0]), uniform=False)
    decimal = _decimal_grid(distinct, counts, printed)
    uniform = fit_uniform_grid(distinct, printed.error, counts.astype(np.float64))
    if uniform is not None and (decimal is None or uniform[0] > _COARSER * decimal.step):
        step, offset = uniform
        distance = np.abs(distinct - offset - step * np.rint((distinct - offset) / step))
        # Values of few binary digits may be further from the grid than a cell is wide.
        noise = np.minimum(printed.noise, _EXACT_CELLS * step)
        exact = bool(np.all(distance <= _EXACT * step + noise))
        return Grid(step, offset, rounding=0.0 if exact else float(printed.error.max()))
    return decimal or _last_decimal(distinct, printed) or _smallest_gap(distinct, counts)


def _repeats(counts: NDArray[np.int64]) -> bool:
    rows = int(counts.sum())
    top = int(counts.max())
    if top >= max(_TOP_COUNT, _TOP_SHARE * rows):
        return True
    shared = float(counts[counts > 1].sum()) / rows
    collision = float((counts.astype(np.float64) * (counts - 1)).sum()) / (rows * max(rows - 1, 1))
    return shared >= _SHARED and collision >= _COLLISION


def _whole_grid(distinct: Array) -> Grid:
    divisor = _common_divisor(distinct)
    if divisor > 1 and (len(distinct) - 2) * math.log(divisor) > _OVERWHELMING:
        return Grid(float(divisor), float(distinct[0] % divisor))
    return Grid(1.0, 0.0)


def _common_divisor(whole: Array) -> int:
    return int(np.gcd.reduce((whole - whole[0]).astype(np.int64))) or 1


def _decimal_grid(distinct: Array, counts: NDArray[np.int64], printed: Printed) -> Grid | None:
    if printed.decimals is None:
        return None
    scale = 10.0**printed.decimals
    whole = np.rint(distinct * scale)
    if float(np.abs(whole).max()) >= _LARGEST_WHOLE:
        return None
    divisor = _common_divisor(whole)
    rows = int(counts.sum())
    # After Good and Turing, values seen once have about the total mass of the values not seen yet.
    complete = rows >= _ROWS_FOR_UNSEEN and float((counts == 1).sum()) <= _UNSEEN * rows
    if not complete and (len(distinct) - 2) * math.log(divisor) <= _CONVINCING:
        divisor = 1
    return Grid(divisor / scale, float(whole[0] % divisor) / scale)


def _last_decimal(distinct: Array, printed: Printed) -> Grid | None:
    """Return the grid of the last decimal that any value has, if that is one of the first few."""
    if printed.most_decimals is None or printed.most_decimals > _FEW_DECIMALS:
        return None
    scale = 10.0**printed.most_decimals
    return Grid(1 / scale, 0.0) if float(np.abs(distinct).max()) * scale < _LARGEST_WHOLE else None


def _smallest_gap(distinct: Array, counts: NDArray[np.int64]) -> Grid:
    step = float(f"{0.99999 * float(np.diff(distinct).min()):.6g}")
    offset = modulo(float(distinct[int(np.argmax(counts))]), step)
    return Grid(step, offset, uniform=False)


def _merged(
    distinct: Array, counts: NDArray[np.int64], printed: Printed
) -> tuple[Array, NDArray[np.int64], Printed]:
    """Join values that differ by no more than binary arithmetic can explain."""
    apart = np.diff(distinct) > printed.noise[1:] + printed.noise[:-1]
    starts = np.flatnonzero(np.insert(apart, 0, True))
    ends = np.append(starts[1:], len(distinct)) - 1
    # A long chain of near neighbours is a dense column, not one value computed in several ways.
    if np.any(distinct[ends] - distinct[starts] > 4 * printed.noise[ends]):
        return distinct, counts, printed
    joined = replace(printed, error=printed.error[starts], noise=printed.noise[starts])
    return distinct[starts] + (distinct[ends] - distinct[starts]) / 2, np.add.reduceat(counts, starts), joined
