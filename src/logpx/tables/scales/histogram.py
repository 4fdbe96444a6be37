"""A histogram over the cells of a grid, with a little mass in unseen cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from logpx.errors import DataError
from logpx.tables.scales.sample import Array, Sample

__all__ = ["Histogram"]

# A column with more distinct values, or fewer rows per value, pools the rare ones.
_MOST_CELLS = 256
_FEWEST_ROWS = 5.0
# A pool holds at least one row in this many; a cell that does so by itself stands alone.
_MOST_POOLS = 200
_MOST_UNSEEN = 0.2
_LARGEST_CELL = 2.0**52


@dataclass(frozen=True)
class Histogram:
    """Edges of S segments in the table's units, their masses, and the mass of each of the two tails.

    Examples
    --------
    >>> histogram = Histogram.of(Sample.of([0.0] * 10 + [1.0] * 3 + [3.0] * 7), step=1.0, offset=0.0)
    >>> histogram.edges.tolist()
    [-0.5, 0.5, 1.5, 2.5, 3.5]
    >>> bool(abs(histogram.masses.sum() + 2 * histogram.tail - 1) < 1e-12)
    True
    """

    edges: Array
    masses: Array
    tail: float
    width: float

    @classmethod
    def of(cls, sample: Sample, step: float, offset: float) -> Histogram:
        """Return the histogram of values on the grid ``offset + k * step``, dequantised or not.

        Raises
        ------
        DataError
            If a value is too many steps from the offset to have a cell.
        """
        cells = np.floor((sample.values - offset) / step + 0.5)
        if np.abs(cells).max() > _LARGEST_CELL:
            raise DataError("values too large for the step of their grid", fix="pin a larger step, or none")
        starts = np.flatnonzero(np.diff(cells, prepend=-np.inf))
        weights = np.ones_like(cells) if sample.weights is None else sample.weights
        counts = np.add.reduceat(weights, starts) * (sample.effective_size() / weights.sum())
        pools = _Pools.of(cells[starts], counts)
        edges, seen = pools.tiles()
        size = float(counts.sum())
        # A new row exceeds the largest of n with probability 1 / (n + 1), or less if the largest repeats.
        tail = 0.5 / (size + 1)
        masses = np.zeros(len(edges) - 1)
        masses[seen] = pools.counts
        gaps = np.diff(edges) * (masses == 0)
        inside = pools.unseen_share() if gaps.any() else 0.0
        masses *= (1 - 2 * tail - inside) / masses.sum()
        if inside:
            masses += inside * gaps / gaps.sum()
        return cls(offset + step * edges, masses, tail, step * max(1.0, float(edges[-1] - edges[0]) / 8))


@dataclass(frozen=True)
class _Pools:
    """First cell, last cell and count of each pool of cells, and which pools are a single frequent cell."""

    first: Array
    last: Array
    counts: Array
    alone: NDArray[np.bool_]

    @classmethod
    def of(cls, cells: Array, counts: Array) -> _Pools:
        total = float(counts.sum())
        few = len(cells) <= min(_MOST_CELLS, total / _FEWEST_ROWS)
        threshold = 0.0 if few else max(total / _MOST_POOLS, _FEWEST_ROWS)
        alone = counts >= threshold
        rare = np.where(alone, 0.0, counts)
        begins = alone | np.concatenate([[True], alone[:-1]])
        if not few:
            begins |= np.diff(np.floor((np.cumsum(rare) - rare) / threshold), prepend=-1.0) != 0
        starts = np.flatnonzero(begins)
        ends = np.append(starts[1:], len(cells)) - 1
        return cls(cells[starts], cells[ends], np.add.reduceat(counts, starts), alone[starts])

    def tiles(self) -> tuple[Array, NDArray[np.intp]]:
        """Return the edges of segments that tile the range, and each pool's segment; the others are gaps.

        A pool of rare cells extends to its neighbours; a gap between two single cells is a separate segment.
        """
        left, right = self.first - 0.5, self.last + 0.5
        right[:-1] = np.where(self.alone[:-1], right[:-1], left[1:])
        left[1:] = np.where(self.alone[1:], left[1:], right[:-1])
        edges = np.unique(np.concatenate([left, right]))
        return edges, np.searchsorted(edges, left)

    def unseen_share(self) -> float:
        """Return the probability of an unseen cell, after Good and Turing: the share of cells seen once."""
        singletons = float(np.sum(self.alone & (self.counts <= 1.0)))
        return min((singletons + 0.5) / (float(self.counts.sum()) + 1.0), _MOST_UNSEEN)
