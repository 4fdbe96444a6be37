"""Training and validation rows of a table, sampled in one pass if there are too many."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from logpx.errors import DataError
from logpx.tables.columns.supports import Supports
from logpx.tables.families.family import FEW_ROWS
from logpx.tables.fitting.requirements import require_support
from logpx.tables.fitting.weighing import Weighing
from logpx.tables.reading.table import Table
from logpx.tables.schema.matrix import to_matrix
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.weights import Array, no_weight_left, weighed_part
from logpx.wording import counted

__all__ = [
    "DividedRows",
    "ReadRows",
    "TableRows",
    "divide",
    "divided_places",
    "divided_rows",
    "folds_of",
    "read_rows",
    "read_weighed_rows",
    "with_noise",
]

Places = slice | Tensor

# Under `FEW_ROWS` the few set aside would tell hardly anything, but training needs some to stop by.
_FEWEST_TO_STOP_BY = 10
_FOLDS = 5
# Enough to choose by; slow models score them several times.
_ROWS_TO_CHOOSE_BY = 200
_CELLS_PER_SECOND = 8000
# Up to this many rows, each is a fold.
_EACH = 12
# What is kept of a long table: what memory holds, and hardly more than training passes over in the time.
_MOST_NUMBERS, _NUMBERS_PER_SECOND, _FEWEST_NUMBERS = 40_000_000, 400_000, 4_000_000
_REPLICATED_NUMBERS = 1_000_000
_MOST_DRAWS = 8
# Drawn apart from what anybody draws with the seed alone: data simulated with it would else be in order.
_ROW_ORDER = 7_001


@dataclass(frozen=True)
class TableRows:
    """Rows of a table in table units, both as they are and with columns on a grid dequantised.

    Attributes
    ----------
    values : Tensor
        Rows as they are, shape ``(n, d)``, float64.
    noisy : Tensor
        The same rows dequantised, with several draws one after another if there are few rows: shape
        ``(draws n, d)``.
    weights : Tensor or None
        How much each row counts, shape ``(n,)``, float64, above 0; None if all count alike.
    """

    values: Tensor
    noisy: Tensor
    weights: Tensor | None = None

    @property
    def draws(self) -> int:
        """How often each row is there with its noise."""
        return len(self.noisy) // len(self.values)

    @property
    def noisy_weights(self) -> Tensor | None:
        """How much each of the dequantised rows counts."""
        return None if self.weights is None else self.weights.repeat(self.draws)


@dataclass(frozen=True, kw_only=True)
class DividedRows:
    """The rows of a table, divided into those to fit to and those to choose by.

    Attributes
    ----------
    rows : Tensor
        All rows that were read, shape ``(n, d)``, float64.
    count : int
        The number of rows of the table, possibly more than were read.
    training, held_out : Tensor
        Rows to fit to and to choose by; the same rows if there are too few to set any aside.
    joined : bool
        Whether the two are parts of one table, so that the chosen model may be fitted to both.
    weights, training_weights, held_out_weights : Tensor or None
        How much each of the rows counts, shape ``(n,)``, float64, above 0; None if all count alike.
    weighted_by : str
        What says so, in words; empty if nothing does.
    sampled : bool
        Whether only some rows of the table were read, for it has too many for memory.
    """

    rows: Tensor
    count: int
    training: Tensor
    held_out: Tensor
    joined: bool
    weights: Tensor | None = None
    training_weights: Tensor | None = None
    held_out_weights: Tensor | None = None
    weighted_by: str = ""
    sampled: bool = False

    @property
    def unit(self) -> float:
        """What weights are multiplied by, so that their sum is the effective number of rows."""
        return 1.0 if self.weights is None else float(self.weights.sum() / self.weights.square().sum())

    def in_order(self) -> tuple[Tensor, Tensor | None]:
        """Return the rows set aside, if any, and then the training rows; and how much each counts."""
        if self.undivided or not self.joined:
            return self.training, self.training_weights
        both = torch.cat([self.held_out, self.training])
        if self.held_out_weights is None or self.training_weights is None:
            return both, None
        return both, torch.cat([self.held_out_weights, self.training_weights])

    @property
    def undivided(self) -> bool:
        """Whether the rows were too few to set any aside."""
        return self.held_out is self.training

    @property
    def division(self) -> str:
        """What there is to choose by, in words."""
        weighted = f", {self.weighted_by}" if self.weighted_by else ""
        if not self.undivided:
            how = f"{'set aside' if self.joined else 'given'} to choose by{weighted}"
            return f"{counted(len(self.held_out), 'row')} {how}"
        folds = folds_of(len(self.training))
        how = "leaving one out" if folds == len(self.training) else f"{folds}-fold cross-validation"
        return how + weighted


def divided_rows(
    table: Table,
    validation: Table | None,
    schema: Schema,
    seed: int,
    *,
    missing: bool = False,
    crossed: bool = False,
    seconds: float = math.inf,
    weights: Array | None = None,
) -> DividedRows:
    """Read a table, and divide its rows unless there is a second table to choose by.

    Parameters
    ----------
    table, validation, schema, seed
        As in `fit_table`.
    missing
        Whether cells may be missing.
    crossed
        Whether models of few rows are to be compared by cross-validation, so that no row is set aside.
    seconds
        How long the fit may take: no more rows are kept than training could pass over within it, and no more
        set aside than can be scored a few times.
    weights
        How much each row of the table counts, where no column says so; rows to choose by then count alike.

    Raises
    ------
    DataError
        If a cell cannot be read, rows contradict the schema, or there are fewer than two.
    """
    read = _supported_rows(table, schema, seed, missing, weights, seconds)
    training = held_out = read
    joined = False
    if validation is not None:
        schema.check(validation.names, validation.file)
        held_out = _supported_rows(validation, schema, seed, missing, None, seconds)
    else:
        fewest = FEW_ROWS if crossed else _FEWEST_TO_STOP_BY
        share = _fraction(len(read.values), read.values.shape[1], seconds)
        places = divided_places(read.values, share, fewest)
        if places is not None:
            training, held_out = (read.part(place) for place in places)
            joined = True
    return DividedRows(
        rows=read.values,
        count=read.count,
        training=training.values,
        held_out=held_out.values,
        joined=joined,
        weights=read.weights,
        training_weights=training.weights,
        held_out_weights=held_out.weights,
        weighted_by=read.weighted_by,
        sampled=read.sampled,
    )


def _supported_rows(
    table: Table, schema: Schema, seed: int, missing: bool, weights: Array | None, seconds: float
) -> ReadRows:
    numbers = max(_NUMBERS_PER_SECOND * seconds, _FEWEST_NUMBERS)
    read = read_weighed_rows(table, schema, seed, missing, weights, numbers)
    require_support(read.values, schema, table.file)
    return read


def _fraction(rows: int, columns: int, seconds: float) -> float:
    most = max(_ROWS_TO_CHOOSE_BY, _CELLS_PER_SECOND * seconds / max(columns, 1))
    return min(0.25, max(min(0.1, most / max(rows, 1)), _ROWS_TO_CHOOSE_BY / max(rows, 1)))


def read_rows(table: Table, schema: Schema, seed: int, missing: bool = False) -> tuple[Tensor, int]:
    """Read the modelled columns of all rows, or of a uniform sample if the table is too long for memory.

    Parameters
    ----------
    table, schema, seed
        As in `fit_table`.
    missing
        Whether cells may be missing.

    Returns
    -------
    Tensor
        Shape ``(n, d)``, float64, in random order.
    int
        The number of rows of the table.
    """
    read = read_weighed_rows(table, schema, seed, missing)
    return read.values, read.count


@dataclass(frozen=True, kw_only=True)
class ReadRows:
    """Rows of a table, and how much each counts.

    Attributes
    ----------
    values : Tensor
        Shape ``(n, d)``, float64, in random order.
    count : int
        The number of rows of the table.
    weights : Tensor or None
        Shape ``(n,)``, float64, above 0; None if all count alike.
    weighted_by : str
        What says so, in words; empty if nothing does.
    sampled : bool
        Whether these are only some rows of the table.
    """

    values: Tensor
    count: int
    weights: Tensor | None = None
    weighted_by: str = ""
    sampled: bool = False

    def part(self, places: Places) -> ReadRows:
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[places]
        return replace(self, values=self.values[places], weights=weights)


def read_weighed_rows(
    table: Table,
    schema: Schema,
    seed: int,
    missing: bool = False,
    given: Array | None = None,
    most_numbers: float = math.inf,
) -> ReadRows:
    """Read rows as `read_rows` does, with their weights, and without those of weight 0.

    Parameters
    ----------
    table, schema, seed, missing
        As in `read_rows`.
    given
        The weight of each row of the table, where no column says so.
    most_numbers
        The most numbers to keep, where memory holds more.

    Raises
    ------
    DataError
        If a weight is no number of 0 or more, all are 0, or the column of weights is missing.
    """
    most = max(1, int(min(_MOST_NUMBERS, most_numbers)) // len(schema.modelled))
    generator = np.random.default_rng([_ROW_ORDER, seed])
    sample = _SampledRows(most, len(schema.modelled))
    weighing = Weighing.of(table, schema, given)
    count = 0
    for batch in weighed_part(table, schema).batches():
        values = to_matrix(batch, schema, missing=missing)
        sample.add(values, generator.random(batch.rows), weighing.weights(batch))
        count += batch.rows
    kept, keys, weights = sample.rows()
    weighing.check_count(count)
    order = np.argsort(keys)
    if not weighing.by:
        return ReadRows(values=torch.from_numpy(kept[order]), count=count, sampled=count > most)
    order = order[weights[order] > 0.0]
    if not len(order):
        raise no_weight_left(schema, table.file)
    return ReadRows(
        values=torch.from_numpy(kept[order]),
        count=count,
        weights=torch.from_numpy(weights[order]),
        weighted_by=weighing.by,
        sampled=count > most,
    )


class _SampledRows:
    """The rows with the smallest keys among those seen, with their weights."""

    def __init__(self, most: int, columns: int) -> None:
        self._most, self._count, self._largest = most, 0, 1.0
        self._parts: list[tuple[Array, Array, Array]] = [(np.empty((0, columns)), np.empty(0), np.empty(0))]

    def add(self, values: Array, keys: Array, weights: Array) -> None:
        if self._count >= self._most:
            # Whatever comes, the rows with larger keys than those kept are not among the smallest.
            least = keys < self._largest
            values, keys, weights = values[least], keys[least], weights[least]
        self._parts.append((values, keys, weights))
        self._count += len(keys)
        if self._count > 1.25 * self._most:
            self.rows()

    def rows(self) -> tuple[Array, Array, Array]:
        values, keys, weights = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        if len(keys) > self._most:
            smallest = np.argpartition(keys, self._most - 1)[: self._most]
            values, keys, weights = values[smallest], keys[smallest], weights[smallest]
        self._largest = keys.max(initial=0.0)
        self._parts, self._count = [(values, keys, weights)], len(keys)
        return values, keys, weights


def folds_of(rows: int) -> int:
    """Return into how many folds few rows are divided."""
    return rows if rows <= _EACH else _FOLDS


def divide(rows: Tensor, fraction: float, fewest: int = _FEWEST_TO_STOP_BY) -> tuple[Tensor, Tensor]:
    """Split rows that are in random order into training and validation rows, as `divided_places` says.

    If there are fewer than `fewest`, all rows serve as both.
    """
    places = divided_places(rows, fraction, fewest)
    return (rows, rows) if places is None else (rows[places[0]], rows[places[1]])


def divided_places(
    rows: Tensor, fraction: float, fewest: int = _FEWEST_TO_STOP_BY
) -> tuple[Places, Places] | None:
    """Return the places of training and of validation rows, among rows that are in random order.

    None if there are fewer than `fewest`, so that all rows serve as both. A column that varies does so
    among the training rows, for which up to half of the validation rows change sides.

    Raises
    ------
    DataError
        If there are fewer than two rows.
    """
    if len(rows) < 2:
        raise DataError("the table has one row", fix="give at least two rows, better hundreds")
    if len(rows) < fewest:
        return None
    aside = round(fraction * len(rows))
    training, held_out = rows[aside:], rows[:aside]
    moved = _rows_to_vary(training, held_out)[: aside // 2]
    if not moved:
        return slice(aside, None), slice(aside)
    kept = [row for row in range(aside) if row not in moved]
    return torch.tensor([*range(aside, len(rows)), *moved]), torch.tensor(kept)


def _rows_to_vary(training: Tensor, held_out: Tensor) -> list[int]:
    """Return validation rows with which all columns that can vary do so among the training rows."""
    chosen: list[int] = []
    for column in _constants(training).tolist():
        known = torch.cat([training[:, column], held_out[chosen, column]])
        values = known.new_tensor(sorted(set(known[~known.isnan()].tolist())))
        cells = held_out[:, column]
        while len(values) < 2:
            others = (~cells.isnan() & ~torch.isin(cells, values)).nonzero().flatten()
            if len(others) == 0:
                break
            chosen.append(int(others[0]))
            values = torch.cat([values, cells[others[:1]]])
    return chosen


def _constants(rows: Tensor) -> Tensor:
    """Return the columns that do not have two different values."""
    low = rows.where(~rows.isnan(), rows.new_tensor(torch.inf)).amin(0)
    high = rows.where(~rows.isnan(), rows.new_tensor(-torch.inf)).amax(0)
    return (low >= high).nonzero().flatten()


def with_noise(values: Tensor, supports: Supports, seed: int, weights: Tensor | None = None) -> TableRows:
    """Dequantise rows, with more draws the fewer rows there are."""
    draws = 1
    if supports.noisy:
        draws = min(_MOST_DRAWS, max(1, _REPLICATED_NUMBERS // max(1, values.numel())))
    noisy = [supports.dequantise(values, seed=seed, draw=draw) for draw in range(draws)]
    return TableRows(values, torch.cat(noisy), weights)
