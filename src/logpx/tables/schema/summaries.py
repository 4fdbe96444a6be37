"""What one pass over a table finds out about each column, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logpx.tables.reading.cell_text import text_of
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.notation import LabelNotation
from logpx.tables.reading.table import Table
from logpx.tables.schema.large_numbers import LargeNumbers

__all__ = ["ColumnSummary", "NumberSummary", "TextSummary", "summarise"]

Array = npt.NDArray[np.float64]

_LARGEST_WHOLE = 2.0**53
_DISTINCT_TEXTS = 10_000
_LARGEST_SAMPLE = 1 << 24
# Drawn apart from what anybody draws with the seed alone: a sample of data simulated with it would be biased.
_ROW_SAMPLE = 7_002


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
    divisor : int
        The largest number of which all values are multiples, if they are whole; 0 before any value.
    large : LargeNumbers
        What is known of whole numbers that float64 does not hold exactly.
    """

    minimum: float = np.inf
    maximum: float = -np.inf
    infinite: int = 0
    whole: bool = True
    counts_from: float | None = None
    sample: Array = field(default_factory=lambda: np.empty(0))
    divisor: int = 0
    large: LargeNumbers = field(default_factory=LargeNumbers)

    def add(self, values: Array, start: int, cells: pa.Array | None = None) -> None:
        """Add the values of the rows from ``start`` on, missing ones as NaN, and the cells they are from."""
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
            # Microseconds are whole, however far from 1970.
            exact = self.type is ColumnType.TIMESTAMP or max(-low, high) < _LARGEST_WHOLE
            self.whole = exact and bool(np.all(finite == np.floor(finite)))
        if cells is not None:
            self.large.add(cells, max(-low, high))
        if self.whole and self.type is ColumnType.TIMESTAMP:
            self.divisor = int(np.gcd.reduce(finite.astype(np.int64), initial=self.divisor))
        if self.counts_from is not None:
            expected = self.counts_from + np.arange(start, start + len(values))
            if not np.array_equal(values, expected):
                self.counts_from = None


@dataclass(kw_only=True)
class TextSummary(ColumnSummary):
    """A column of labels, dates or anything else that is not a number.

    Attributes
    ----------
    values : dict of str to int
        How often each distinct value occurs, in order of appearance, up to a fixed number of values.
    all_seen : bool
        Whether these are all.
    repeats : bool
        Whether a value was seen twice while all were remembered.
    words : dict of str to int
        How often each word for a missing cell occurs.
    """

    values: dict[str, int] = field(default_factory=dict)
    all_seen: bool = True
    repeats: bool = False
    words: dict[str, int] = field(default_factory=dict)

    def add(self, values: pa.Array, cells: pa.Array | None = None) -> None:
        """Add the labels of some rows, and the cells they are from."""
        self.rows += len(values)
        self.missing += int(values.null_count)
        if cells is not None and values.null_count > cells.null_count:
            for word, count in _counts(text_of(cells.filter(pc.is_null(values)))):
                self.words[word] = self.words.get(word, 0) + count
        if not self.all_seen:
            return
        for value, count in _counts(values):
            if value in self.values or count > 1:
                self.repeats = True
            if value not in self.values and len(self.values) >= _DISTINCT_TEXTS:
                self.all_seen = False
                break
            self.values[value] = self.values.get(value, 0) + count


def _counts(text: pa.Array) -> list[tuple[str, int]]:
    """Return distinct texts in order of appearance, and how often each occurs."""
    counted = pc.value_counts(text.drop_null())
    return list(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


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
        labelled = isinstance(table.readings[name].notation, LabelNotation)
        summaries[name] = TextSummary(kind) if labelled else NumberSummary(kind)
    numbers = [name for name, summary in summaries.items() if isinstance(summary, NumberSummary)]
    sample = _RowSample(max(1, min(sample_rows, _LARGEST_SAMPLE // max(len(numbers), 1))), len(numbers), seed)
    for batch in table.batches():
        columns = []
        for name, summary in summaries.items():
            if isinstance(summary, NumberSummary):
                values = batch.numbers(name)
                summary.add(values, batch.start, batch.stored.column(name))
                columns.append(values)
            elif isinstance(summary, TextSummary):
                summary.add(batch.read(name), batch.stored.column(name))
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
        self._generator = np.random.default_rng([_ROW_SAMPLE, seed])
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
