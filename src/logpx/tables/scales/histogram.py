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
_LARGEST_DISCOUNT = 0.75
_LARGEST_CELL = 2.0**52


@dataclass(frozen=True)
class Histogram:
    """Edges of S segments in the table's units, their masses, and the masses of the lower and upper tail.

    A tail beyond a bound has no mass.

    Examples
    --------
    >>> values = Sample.of([0.0] * 10 + [1.0] * 3 + [3.0] * 7)
    >>> histogram = Histogram.of(values, step=1.0, offset=0.0, lower=-0.5)
    >>> histogram.edges.tolist(), histogram.tails[0]
    ([-0.5, 0.5, 1.5, 2.5, 3.5], 0.0)
    >>> bool(abs(histogram.masses.sum() + sum(histogram.tails) - 1) < 1e-12)
    True
    """

    edges: Array
    masses: Array
    tails: tuple[float, float]
    width: float

    @classmethod
    def of(
        cls,
        sample: Sample,
        step: float,
        offset: float,
        lower: float | None = None,
        upper: float | None = None,
    ) -> Histogram:
        """Return the histogram of values on the grid ``offset + k * step``, dequantised or not.

        Parameters
        ----------
        sample
            The values.
        step, offset
            The grid.
        lower, upper
            The outer edges of the first and of the last possible cell; None if cells have no end.

        Raises
        ------
        DataError
            If a value is too many steps from the offset to have a cell, or lies beyond an outer edge.
        """
        cells = np.floor((sample.values - offset) / step + 0.5)
        if np.abs(cells).max() > _LARGEST_CELL:
            raise DataError("values too large for the step of their grid", fix="pin a larger step, or none")
        first, last = (_edge(bound, step, offset) for bound in (lower, upper))
        if (first is not None and cells[0] < first) or (last is not None and cells[-1] > last):
            raise DataError("values outside the bounds of the grid", fix="widen the declared bounds")
        starts = np.flatnonzero(np.diff(cells, prepend=-np.inf))
        weights = np.ones_like(cells) if sample.weights is None else sample.weights
        counts = np.add.reduceat(weights, starts) * (sample.effective_size() / weights.sum())
        pools = _Pools.of(cells[starts], counts)
        edges, seen = pools.tiles()
        size = float(counts.sum())
        # A new row exceeds the largest of n with probability 1 / (n + 1), or less if the largest repeats.
        tail = 0.5 / (size + 1)
        reach = max(1.0, float(np.rint((edges[-1] - edges[0]) / 8)))
        below = _beyond(first if first is None else edges[0] - first, reach, tail)
        above = _beyond(last if last is None else last - edges[-1], reach, tail)
        masses = np.zeros(len(edges) - 1)
        masses[seen] = pools.counts
        gaps = np.diff(edges) * (masses == 0)
        if gaps.any():
            # Every cell gives the same part of a row to the gaps, so that frequent ones keep their shares.
            part = pools.discount()
            masses[seen] -= part
            masses += part * len(seen) * gaps / gaps.sum()
        masses *= (1 - below.total - above.total) / masses.sum()
        edges = np.concatenate([edges[0] - below.ends[::-1], edges, edges[-1] + above.ends])
        masses = np.concatenate([below.masses[::-1], masses, above.masses])
        return cls(offset + step * edges, masses, (below.tail, above.tail), step * reach)


@dataclass(frozen=True)
class _Beyond:
    """Segments between the outermost seen cell and a bound, by their outer ends, or a tail without end."""

    ends: Array
    masses: Array
    tail: float

    @property
    def total(self) -> float:
        return float(self.masses.sum()) + self.tail


def _beyond(distance: float | None, reach: float, mass: float) -> _Beyond:
    """Return segments that double in width while their mass halves, up to a bound at a distance."""
    if distance is None:
        return _Beyond(np.empty(0), np.empty(0), mass)
    if distance <= 0:
        return _Beyond(np.empty(0), np.empty(0), 0.0)
    ends = [reach]
    while ends[-1] < distance:
        ends.append(2 * ends[-1] + reach)
    ends[-1] = distance
    shares = np.ldexp(np.ones(len(ends)), -np.arange(1, len(ends) + 1))
    shares[-1] *= 2
    return _Beyond(np.array(ends), mass * shares, 0.0)


def _edge(bound: float | None, step: float, offset: float) -> float | None:
    """Return an outer edge in cells: half a step beyond a whole number of steps."""
    return None if bound is None else float(np.rint((bound - offset) / step - 0.5)) + 0.5


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

    def discount(self) -> float:
        """Return the part of a row that each pool gives to unseen cells.

        Together they give, after Good and Turing, the mass of the cells seen once.
        """
        total = float(self.counts.sum())
        singletons = float(np.sum(self.alone & (self.counts <= 1.0)))
        unseen = min((singletons + 0.5) / (total + 1.0), _MOST_UNSEEN)
        return min(unseen * total / len(self.counts), _LARGEST_DISCOUNT * float(self.counts.min()))
