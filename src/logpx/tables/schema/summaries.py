"""What one pass over a table finds out about each column, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logpx.tables.reading.column_types import ColumnType, labels
from logpx.tables.reading.csv_layout import is_number
from logpx.tables.reading.table import Table

__all__ = ["ColumnSummary", "NumberSummary", "TextSummary", "summarise"]

Array = npt.NDArray[np.float64]

_LARGEST_WHOLE = 2.0**53
_DISTINCT_TEXTS = 10_000
_LARGEST_SAMPLE = 1 << 24


@dataclass
class ColumnSummary:
    """What is known about a column of any type.

    Attributes
    ----------
    type : ColumnType
        The stored type.
    rows, missing : int
        The number of rows, and of those without a value.
    """

    type: ColumnType
    rows: int = 0
    missing: int = 0

    @property
    def present(self) -> int:
        """The number of rows that have a value."""
        return self.rows - self.missing


@dataclass(kw_only=True)
class NumberSummary(ColumnSummary):
    """A column of numbers.

    Attributes
    ----------
    minimum, maximum : float
        The smallest and largest finite values.
    infinite : int
        The number of infinities.
    whole : bool
        Whether all finite values are whole numbers that float64 holds exactly.
    counts_from : float or None
        The first value, as long as every row's value is one more than that of the row before; else None.
    sample : numpy.ndarray
        Finite values of rows drawn uniformly at random, in no particular order.
    """

    minimum: float = np.inf
    maximum: float = -np.inf
    infinite: int = 0
    whole: bool = True
    counts_from: float | None = None
    sample: Array = field(default_factory=lambda: np.empty(0))

    def add(self, values: Array, start: int) -> None:
        """Add the values of the rows from ``start`` on, missing ones as NaN."""
        finite = values
        low, high = float(values.min()), float(values.max())
        # Both are NaN as soon as one value is.
        if not np.isfinite(low) or not np.isfinite(high):
            missing = np.isnan(values)
            self.missing += int(missing.sum())
            finite = values[np.isfinite(values)]
            self.infinite += len(values) - int(missing.sum()) - len(finite)
            low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))
        if start == 0:
            self.counts_from = float(values[0])
        self.rows += len(values)
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        if self.whole:
            self.whole = max(-low, high) < _LARGEST_WHOLE and bool(np.all(finite == np.floor(finite)))
        if self.counts_from is not None:
            expected = self.counts_from + np.arange(start, start + len(values))
            if not np.array_equal(values, expected):
                self.counts_from = None


@dataclass
class TextSummary(ColumnSummary):
    """A column of labels, dates or anything else that is not a number.

    Attributes
    ----------
    values : dict of str to None
        Distinct values in order of appearance, up to a fixed number.
    all_seen : bool
        Whether these are all.
    repeats : bool
        Whether a value was seen twice while all were remembered.
    """

    values: dict[str, None] = field(default_factory=dict)
    all_seen: bool = True
    repeats: bool = False

    @property
    def mostly_numbers(self) -> bool:
        """Whether the column is text, but more than half of its distinct values read as numbers."""
        numbers = sum(map(is_number, self.values)) if self.type is ColumnType.TEXT else 0
        return numbers > len(self.values) / 2

    def add(self, values: pa.Array) -> None:
        """Add the values of some rows."""
        self.rows += len(values)
        self.missing += int(values.null_count)
        if not self.all_seen:
            return
        distinct = pc.unique(labels(values)).drop_null().to_pylist()
        self.repeats |= len(distinct) < len(values) - int(values.null_count)
        for value in distinct:
            if value in self.values:
                self.repeats = True
            else:
                if len(self.values) >= _DISTINCT_TEXTS:
                    self.all_seen = False
                    break
                self.values[value] = None


def summarise(table: Table, sample_rows: int, seed: int) -> tuple[dict[str, ColumnSummary], int]:
    """Summarise every column in one pass over a table.

    Parameters
    ----------
    table : Table
        The table.
    sample_rows : int
        How many rows to sample at most; fewer for a table with very many columns.
    seed : int
        Seed of the sample, which does not depend on how the table is stored.

    Returns
    -------
    tuple of (dict of str to ColumnSummary, int)
        The summaries by column, and the number of rows sampled.
    """
    summaries: dict[str, ColumnSummary] = {}
    for name, kind in table.types.items():
        summaries[name] = NumberSummary(kind) if kind is ColumnType.NUMBER else TextSummary(kind)
    numbers = [name for name, summary in summaries.items() if isinstance(summary, NumberSummary)]
    sample = _RowSample(max(1, min(sample_rows, _LARGEST_SAMPLE // max(len(numbers), 1))), len(numbers), seed)
    for batch in table.batches():
        columns = []
        for name, summary in summaries.items():
            if isinstance(summary, NumberSummary):
                values = batch.numbers(name)
                summary.add(values, batch.start)
                columns.append(values)
            elif isinstance(summary, TextSummary):
                summary.add(batch.columns.column(name))
        sample.add(columns, batch.rows)
    kept, sampled = sample.rows()
    for index, name in enumerate(numbers):
        summary = summaries[name]
        assert isinstance(summary, NumberSummary)
        summary.sample = kept[index][np.isfinite(kept[index])]
    return summaries, sampled


class _RowSample:
    """Rows drawn uniformly without replacement: those with the smallest independent random keys."""

    def __init__(self, size: int, columns: int, seed: int) -> None:
        self._size = size
        self._generator = np.random.default_rng(seed)
        self._limit = 1.0
        self._keys: list[Array] = []
        self._rows: list[Array] = [np.empty((columns, 0))]
        self._held = 0

    def add(self, columns: list[Array], rows: int) -> None:
        keys = self._generator.random(rows)
        chosen = np.flatnonzero(keys < self._limit)
        self._keys.append(keys[chosen])
        if columns:
            self._rows.append(np.array([column[chosen] for column in columns]))
        self._held += len(chosen)
        if self._held >= 2 * self._size:
            self._shrink()

    def rows(self) -> tuple[Array, int]:
        self._shrink()
        return self._rows[0], self._held

    def _shrink(self) -> None:
        keys, rows = np.concatenate([np.empty(0), *self._keys]), np.concatenate(self._rows, axis=1)
        if len(keys) > self._size:
            kept = np.argpartition(keys, self._size)[: self._size]
            keys, rows = keys[kept], rows[:, kept] if rows.size else rows
            self._limit = float(keys.max())
        self._keys, self._rows, self._held = [keys], [rows], len(keys)
