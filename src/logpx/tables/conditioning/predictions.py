"""What a prediction says of one column, as columns of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from logpx.distributions.conditional import Marginals
from logpx.errors import UsageError
from logpx.tables.arrow_columns import arrow_array, written_type
from logpx.tables.columns.support import Support
from logpx.tables.reading.date_notation import DateNotation
from logpx.tables.schema.schema import Column

__all__ = ["Prediction", "checked_levels", "quantile_name"]


def checked_levels(levels: Sequence[float]) -> list[float]:
    """Return levels of quantiles, once checked.

    Raises
    ------
    UsageError
        If one is not a number above 0 and below 1, or stands twice.

    Examples
    --------
    >>> checked_levels([0.05, 0.5])
    [0.05, 0.5]
    """
    try:
        listed = [float(level) for level in np.atleast_1d(np.asarray(levels, dtype=np.float64))]
    except (TypeError, ValueError):
        raise UsageError(f"the quantiles {levels!r}", fix="give numbers, such as [0.05, 0.95]") from None
    for place, level in enumerate(listed):
        if not 0.0 < level < 1.0:
            raise UsageError(f"the quantile {level:g}", fix="give levels above 0 and below 1, such as 0.05")
        if level in listed[:place]:
            raise UsageError(f"the quantile {level:g} twice", fix="give each level once")
    return listed


def quantile_name(name: str, level: float) -> str:
    """Return the name of the column that holds a quantile.

    Examples
    --------
    >>> quantile_name("price", 0.05)
    'price_quantile_0.05'
    """
    return f"{name}_quantile_{float(level)!r}"


class Prediction(ABC):
    """The columns that describe the distribution of one column.

    Parameters
    ----------
    column, support
        The column, and its bounds, grid, atoms or labels.
    """

    def __init__(self, column: Column, support: Support) -> None:
        self.column, self.support = column, support
        self.form = written_type(column, support)

    @staticmethod
    def of(column: Column, support: Support) -> Prediction:
        """Return the prediction that suits a column."""
        if column.levels is not None:
            return _OfLabels(column, support)
        dates = isinstance(column.reading.notation, DateNotation)
        return _OfDates(column, support) if dates else _OfNumbers(column, support)

    @abstractmethod
    def fields(self, levels: Sequence[float]) -> list[pa.Field]:
        """Return the names and types of the columns, given the levels of quantiles."""

    @abstractmethod
    def arrays(self, marginals: Marginals, levels: Sequence[float]) -> list[pa.Array]:
        """Return the columns."""


class _OfNumbers(Prediction):
    """The mean, and quantiles in the type of the column."""

    @property
    def mean_form(self) -> pa.DataType:
        """The type of means."""
        return pa.float64()

    def fields(self, levels: Sequence[float]) -> list[pa.Field]:
        name = self.column.name
        quantiles = [pa.field(quantile_name(name, level), self.form) for level in levels]
        return [pa.field(f"{name}_mean", self.mean_form), *quantiles]

    def arrays(self, marginals: Marginals, levels: Sequence[float]) -> list[pa.Array]:
        mean = marginals.expectation(self._near)
        found = marginals.quantiles(torch.tensor(levels, dtype=torch.float64, device=mean.device))
        quantiles = self.support.snap(found).numpy(force=True)
        return [
            self.mean_cells(mean.numpy(force=True)),
            *(arrow_array(np.ascontiguousarray(values), self.column, self.form) for values in quantiles.T),
        ]

    def mean_cells(self, mean: np.ndarray) -> pa.Array:
        """Return the means, which need not be on the grid of the column."""
        return pa.array(mean)

    def _near(self, x: torch.Tensor) -> torch.Tensor:
        """Return values no further from the observed ones than these are from one another.

        The power-law tails of a scale give the rest a mean that has more to do with them than with the data.
        """
        low, high = self.column.minimum, self.column.maximum
        if low is None or high is None:
            return x
        ends = (low - (high - low), high + (high - low))
        lower = ends[0] if self.support.lower is None else max(ends[0], self.support.lower)
        upper = ends[1] if self.support.upper is None else min(ends[1], self.support.upper)
        return x.clamp(lower, upper)


class _OfDates(_OfNumbers):
    """The mean and quantiles, all of them dates."""

    @property
    def mean_form(self) -> pa.DataType:
        """The type of the column."""
        return self.form

    def mean_cells(self, mean: np.ndarray) -> pa.Array:
        """Return the means as the nearest dates."""
        nearest = self.support.snap(torch.from_numpy(mean)).numpy()
        return arrow_array(nearest, self.column, self.form)


class _OfLabels(Prediction):
    """The most probable label, and the probability of each."""

    def fields(self, levels: Sequence[float]) -> list[pa.Field]:
        name = self.column.name
        each = [pa.field(f"{name}_probability_{label}", pa.float64()) for label in self.column.levels or []]
        return [pa.field(f"{name}_predicted", self.form), *each]

    def arrays(self, marginals: Marginals, levels: Sequence[float]) -> list[pa.Array]:
        assert marginals.probabilities is not None
        probabilities = marginals.probabilities.numpy(force=True)
        best = arrow_array(probabilities.argmax(1).astype(np.float64), self.column, self.form)
        return [best, *(pa.array(np.ascontiguousarray(column)) for column in probabilities.T)]
