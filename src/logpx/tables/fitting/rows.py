"""Training and validation rows of a table, sampled in one pass if there are too many."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from logpx.errors import DataError
from logpx.tables.columns.supports import Supports
from logpx.tables.families.family import FEW_ROWS
from logpx.tables.fitting.requirements import require_support
from logpx.tables.reading.table import Table
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.schema.schema import Schema

__all__ = [
    "DividedRows",
    "TableRows",
    "divide",
    "divided_rows",
    "folds_of",
    "read_rows",
    "with_noise",
]

# Under `FEW_ROWS` the few set aside would tell hardly anything, but training needs some to stop by.
_FEWEST_TO_STOP_BY = 10
_FOLDS = 5
# Enough to choose by; slow models score them several times.
_ROWS_TO_CHOOSE_BY = 200
_CELLS_PER_SECOND = 8000
# Up to this many rows, each is a fold.
_EACH = 12
_MOST_NUMBERS = 40_000_000
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
    """

    values: Tensor
    noisy: Tensor


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
    """

    rows: Tensor
    count: int
    training: Tensor
    held_out: Tensor
    joined: bool

    @property
    def undivided(self) -> bool:
        """Whether the rows were too few to set any aside."""
        return self.held_out is self.training

    @property
    def division(self) -> str:
        """What there is to choose by, in words."""
        if not self.undivided:
            return f"{len(self.held_out):,} rows {'set aside' if self.joined else 'given'} to choose by"
        folds = folds_of(len(self.training))
        return "leaving one out" if folds == len(self.training) else f"{folds}-fold cross-validation"


def divided_rows(
    table: Table,
    validation: Table | None,
    schema: Schema,
    seed: int,
    *,
    missing: bool = False,
    crossed: bool = False,
    seconds: float = math.inf,
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
        How long the fit may take: no more rows are set aside than can be scored a few times within it.

    Raises
    ------
    DataError
        If a cell cannot be read, rows contradict the schema, or there are fewer than two.
    """
    rows, count = _supported_rows(table, schema, seed, missing)
    if validation is None:
        fewest = FEW_ROWS if crossed else _FEWEST_TO_STOP_BY
        training, held_out = divide(rows, _fraction(len(rows), rows.shape[1], seconds), fewest)
    else:
        schema.check(validation.names, validation.file)
        training, held_out = rows, _supported_rows(validation, schema, seed, missing)[0]
    return DividedRows(
        rows=rows,
        count=count,
        training=training,
        held_out=held_out,
        joined=validation is None and held_out is not training,
    )


def _supported_rows(table: Table, schema: Schema, seed: int, missing: bool) -> tuple[Tensor, int]:
    rows, count = read_rows(table, schema, seed, missing)
    require_support(rows, schema, table.file)
    return rows, count


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
    most = max(1, _MOST_NUMBERS // len(schema.modelled))
    generator = np.random.default_rng([_ROW_ORDER, seed])
    kept = np.empty((0, len(schema.modelled)))
    keys = np.empty(0)
    count = 0
    for batch in modelled_part(table, schema).batches():
        kept = np.concatenate([kept, to_matrix(batch, schema, missing=missing)])
        keys = np.concatenate([keys, generator.random(batch.rows)])
        count += batch.rows
        if len(keys) > 2 * most:
            smallest = np.argpartition(keys, most)[:most]
            kept, keys = kept[smallest], keys[smallest]
    order = np.argsort(keys)[:most]
    return torch.from_numpy(kept[order]), count


def folds_of(rows: int) -> int:
    """Return into how many folds few rows are divided."""
    return rows if rows <= _EACH else _FOLDS


def divide(rows: Tensor, fraction: float, fewest: int = _FEWEST_TO_STOP_BY) -> tuple[Tensor, Tensor]:
    """Split rows that are in random order into training and validation rows.

    If there are fewer than `fewest`, all rows serve as both. A column that varies does so among the training
    rows, for which up to half of the validation rows change sides.

    Raises
    ------
    DataError
        If there are fewer than two rows.
    """
    if len(rows) < 2:
        raise DataError("the table has one row", fix="give at least two rows, better hundreds")
    if len(rows) < fewest:
        return rows, rows
    aside = round(fraction * len(rows))
    training, held_out = rows[aside:], rows[:aside]
    moved = _rows_to_vary(training, held_out)[: aside // 2]
    if not moved:
        return training, held_out
    kept = [row for row in range(aside) if row not in moved]
    return torch.cat([training, held_out[moved]]), held_out[kept]


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


def with_noise(values: Tensor, supports: Supports, seed: int) -> TableRows:
    """Dequantise rows, with more draws the fewer rows there are."""
    draws = 1
    if supports.noisy:
        draws = min(_MOST_DRAWS, max(1, _REPLICATED_NUMBERS // max(1, values.numel())))
    noisy = [supports.dequantise(values, seed=seed, draw=draw) for draw in range(draws)]
    return TableRows(values, torch.cat(noisy))
