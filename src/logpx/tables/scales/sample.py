"""The training values of one column, checked and sorted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logpx.errors import DataError

__all__ = ["Array", "Sample"]

Array = NDArray[np.float64]

_SPREADS = ((0.25, 0.75), (0.1, 0.9), (0.02, 0.98), (0.0, 1.0))


@dataclass(frozen=True)
class Sample:
    """Sorted values of one column, with their weights.

    Examples
    --------
    >>> sample = Sample.of([3.0, 1.0, 2.0])
    >>> sample.values.tolist(), sample.quantiles(np.array([0.5])).tolist()
    ([1.0, 2.0, 3.0], [2.0])
    """

    values: Array
    weights: Array | None

    @classmethod
    def of(cls, x: Any, weights: Any = None) -> Sample:
        """Return the sample of some values: an array, a tensor or a sequence; a sample is returned as it is.

        Raises
        ------
        DataError
            If a value is not finite, a weight is negative, or there are fewer than two distinct values.
        """
        if isinstance(x, Sample):
            return x
        values = np.asarray(x, dtype=np.float64).reshape(-1)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
            raise DataError("a value that is not finite", row=row, fix="drop the row or fill the cell")
        order = np.argsort(values, kind="stable") if weights is not None else None
        if order is not None:
            mass = np.asarray(weights, dtype=np.float64).reshape(-1)
            if mass.shape != values.shape or not np.isfinite(mass).all() or (mass < 0).any():
                raise DataError(
                    "weights must be one finite number per row, none negative", fix="correct the weights"
                )
            kept = mass[order] > 0
            return cls(values[order][kept], mass[order][kept])._checked()
        return cls(np.sort(values, kind="stable"), None)._checked()

    def _checked(self) -> Sample:
        if len(self.values) < 2 or self.values[0] == self.values[-1]:
            raise DataError(
                "expected at least two distinct values",
                fix="leave the column out, or add rows in which it varies",
            )
        return self

    def __len__(self) -> int:
        return len(self.values)

    def mean_and_deviation(self, values: Array | None = None) -> tuple[float, float]:
        """Return the mean and standard deviation (over n) of these values, or of others in the same order."""
        values = self.values if values is None else values
        # Centring and dividing by the range first keeps 1e300 from overflowing and 1e8 + noise from
        # cancelling.
        middle = float(values[len(values) // 2])
        width = float(np.abs(values / 2 - middle / 2).max()) * 2 if len(values) else 0.0
        if not np.isfinite(width):
            width = float(np.finfo(np.float64).max)
        if width == 0.0:
            return middle, 0.0
        relative = (values / width) - (middle / width) if width > 1e290 else (values - middle) / width
        mean = float(np.average(relative, weights=self.weights))
        deviation = float(np.sqrt(np.average(np.square(relative - mean), weights=self.weights)))
        return middle + width * mean, width * deviation

    def quantiles(self, levels: Array) -> Array:
        """Return the weighted quantiles at levels in [0, 1], linear between the centres of the weights."""
        if self.weights is None:
            positions = levels * len(self.values) - 0.5
            return np.asarray(np.interp(positions, np.arange(len(self.values)), self.values))
        cumulative = np.cumsum(self.weights)
        return np.asarray(np.interp(levels * cumulative[-1], cumulative - self.weights / 2, self.values))

    def levels(self) -> Array:
        """Return the level in (0, 1) of each value: the centre of its weight (Hazen's plotting position)."""
        weights = np.ones_like(self.values) if self.weights is None else self.weights
        cumulative = np.cumsum(weights)
        return np.asarray((cumulative - weights / 2) / cumulative[-1])

    def spread(self) -> float:
        """Return a positive width: the interquartile range, or a wider one where ties make that 0."""
        for low, high in _SPREADS:
            lower, upper = self.quantiles(np.array([low, high])) / 4
            if upper > lower:
                # At most a quarter of the largest float, so that small multiples of it stay finite.
                return float(min(upper - lower, np.finfo(np.float64).max / 16)) * 4
        raise DataError("the values are too close to each other to be told apart", fix="leave the column out")

    def effective_size(self) -> float:
        """Return the number of rows, or Kish's effective number of weighted rows."""
        if self.weights is None:
            return float(len(self.values))
        return float(self.weights.sum() ** 2 / np.square(self.weights).sum())

    def part(self, rows: Any) -> Sample:
        """Return some of the rows, by a mask.

        Raises
        ------
        DataError
            If there are fewer than two distinct values among them.
        """
        weights = None if self.weights is None else self.weights[rows]
        return Sample(self.values[rows], weights)._checked()

    def mapped(self, values: Array) -> Sample:
        """Return the same rows with increasing new values."""
        return Sample(values, self.weights)._checked()

    def thinned(self, count: int) -> Sample:
        """Return at most about ``count`` evenly spaced order statistics: a stratified subsample."""
        if len(self.values) <= count:
            return self
        step = len(self.values) / count
        chosen = ((np.arange(count) + 0.5) * step).astype(np.int64)
        if self.weights is None:
            return Sample(self.values[chosen], None)._checked()
        strata = np.add.reduceat(self.weights, (np.arange(count) * step).astype(np.int64))
        return Sample(self.values[chosen], strata)._checked()
