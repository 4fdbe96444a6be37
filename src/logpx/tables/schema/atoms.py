"""Single values that hold mass, in a column whose values lie on no grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from logpx.tables.dequantisation import AtomCells
from logpx.tables.schema.grids import Array, Grid, detect_grid

__all__ = ["detect_cells"]

_LEAST_SHARE = 0.01
# All digits of a number do not agree three times by chance.
_LEAST_ROWS = 3
_MOST_ATOMS = 32
# How far apart results of the same sum may be, relative to a value.
_ROUNDING = 2.0**-46
# With so many cells for each distinct value, a grid is the precision that numbers were written with.
_CELLS_PER_VALUE = 200
# Fewer other values than these would lie on some grid by accident.
_FEWEST_OTHERS = 10
# Values that may stand out of a grid of decimals, and the digits of evidence that they do.
_MOST_STRANGERS = 3
_MOST_DECIMALS = 15
_DIGITS_OF_EVIDENCE = 6
_LARGEST_DECIMAL = 1e9


def detect_cells(values: Array) -> tuple[Grid | None, list[float]]:
    """Find the grid that the values of a column lie on, or else the atoms: single values that hold mass.

    A value is an atom if 1 % of the rows have it, and at least 3. The grid then is that of the other values.
    If one to three such values alone have more decimals than all others, as a mean has that was filled in for
    missing cells, the grid is that of the others, and only they are atoms.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)
        Finite values, a sample of the column.

    Returns
    -------
    tuple of (Grid or None, list of float)
        The grid, and the atoms in ascending order, at most 32.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> detect_cells(np.where(generator.random(1000) < 0.7, 0.0, generator.gamma(2.0, size=1000)))
    (None, [0.0])
    >>> grid, atoms = detect_cells(np.append(np.arange(100.0) % 20, [9.9372] * 30))
    >>> grid.step, atoms
    (1.0, [9.9372])
    """
    values = np.asarray(values, dtype=np.float64)
    distinct, counts = np.unique(values, return_counts=True)
    strangers = _strangers(distinct, counts)
    if len(strangers):
        return detect_grid(values[~np.isin(values, strangers)]), strangers.tolist()
    grid = detect_grid(values)
    if grid is None or (grid.uniform and not _explains_nothing(grid, distinct)):
        return grid, []
    frequent = np.flatnonzero(counts >= max(_LEAST_ROWS, _LEAST_SHARE * len(values)))
    frequent = frequent[np.argsort(-counts[frequent], kind="stable")][:_MOST_ATOMS]
    atoms: list[float] = []
    for value in distinct[np.sort(frequent)].tolist():
        if AtomCells([*atoms[-1:], value]).apart:
            atoms.append(value)
        elif value - atoms[-1] > _ROUNDING * abs(value):
            return grid, []
    if not atoms or _swallow_others(atoms, distinct):
        return grid, []
    others = values[AtomCells(atoms).index(torch.from_numpy(values)).numpy() < 0]
    if len(atoms) == 1 and len(others) == 0:
        return grid, []
    return detect_grid(others) if len(np.unique(others)) >= _FEWEST_OTHERS else None, atoms


def _swallow_others(atoms: list[float], distinct: Array) -> bool:
    """Whether cells of atoms far from 0 hold other values, which differ by more than rounding errors."""
    cells = AtomCells(atoms)
    at = cells.index(torch.from_numpy(distinct)).numpy()
    own = np.array(atoms)[at]
    return bool(((at >= 0) & (np.abs(distinct - own) > _ROUNDING * np.abs(own))).any())


def _explains_nothing(grid: Grid, distinct: Array) -> bool:
    """Whether a grid is so fine that repeats on it are not those of cells."""
    cells = (distinct[-1] - distinct[0]) / grid.step
    return not grid.whole and bool(cells > _CELLS_PER_VALUE * len(distinct))


def _strangers(distinct: Array, counts: NDArray[np.int64]) -> Array:
    """Return the few frequent values that alone have more decimals than all others."""
    none = distinct[:0]
    if float(np.abs(distinct).max(initial=0.0)) > _LARGEST_DECIMAL:
        return none
    for decimals in range(_MOST_DECIMALS):
        off = distinct != np.round(distinct, decimals)
        if np.count_nonzero(off) <= _MOST_STRANGERS:
            break
    found = distinct[off]
    if len(found) == 0 or counts[off].min() < max(_LEAST_ROWS, _LEAST_SHARE * counts.sum()):
        return none
    finer = range(decimals + 1, _MOST_DECIMALS)
    more = next((k for k in finer if np.any(np.round(found, k) == found)), _MOST_DECIMALS)
    # Two values are used up by step and offset of any grid.
    evidence = (len(distinct) - len(found) - 2) * (more - decimals)
    return found if evidence >= _DIGITS_OF_EVIDENCE else none
