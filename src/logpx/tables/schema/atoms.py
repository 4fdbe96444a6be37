"""Single values that hold mass, in a column whose values lie on no grid."""

from __future__ import annotations

import numpy as np
import torch

from logpx.tables.dequantisation import AtomCells
from logpx.tables.schema.grids import Array, Grid, detect_grid

__all__ = ["detect_cells"]

_LEAST_SHARE = 0.01
_LEAST_ROWS = 5
_MOST_ATOMS = 32
# With so many cells for each distinct value, a grid is the precision that numbers were written with.
_CELLS_PER_VALUE = 200
# Fewer other values than these would lie on some grid by accident.
_FEWEST_OTHERS = 10


def detect_cells(values: Array) -> tuple[Grid | None, list[float]]:
    """Find the grid that the values of a column lie on, or else the atoms: single values that hold mass.

    A value is an atom if 1 % of the rows have it, and at least 5. The grid then is that of the other values.

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
    """
    values = np.asarray(values, dtype=np.float64)
    grid = detect_grid(values)
    distinct, counts = np.unique(values, return_counts=True)
    if grid is None or (grid.uniform and not _explains_nothing(grid, distinct)):
        return grid, []
    frequent = np.flatnonzero(counts >= max(_LEAST_ROWS, _LEAST_SHARE * len(values)))
    frequent = frequent[np.argsort(-counts[frequent], kind="stable")][:_MOST_ATOMS]
    atoms: list[float] = []
    for value in distinct[np.sort(frequent)].tolist():
        if AtomCells([*atoms[-1:], value]).apart:
            atoms.append(value)
    if not atoms:
        return grid, []
    others = values[AtomCells(atoms).index(torch.from_numpy(values)).numpy() < 0]
    if len(atoms) == 1 and len(others) == 0:
        return grid, []
    return detect_grid(others) if len(np.unique(others)) >= _FEWEST_OTHERS else None, atoms


def _explains_nothing(grid: Grid, distinct: Array) -> bool:
    """Whether a grid is so fine that repeats on it are not those of cells."""
    cells = (distinct[-1] - distinct[0]) / grid.step
    return not grid.whole and bool(cells > _CELLS_PER_VALUE * len(distinct))
