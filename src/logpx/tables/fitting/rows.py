"""Training and validation rows of a table, sampled in one pass where there are too many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from logpx.errors import DataError
from logpx.tables.columns.supports import Supports
from logpx.tables.reading.table import Table
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.schema.schema import Schema

__all__ = ["FEWEST_TO_DIVIDE", "TableRows", "divide", "read_rows", "with_noise"]

FEWEST_TO_DIVIDE = 10
_MOST_NUMBERS = 40_000_000
_REPLICATED_NUMBERS = 1_000_000
_MOST_DRAWS = 8


@dataclass(frozen=True)
class TableRows:
    """Rows of a table in table units, as they are and with every column on a grid dequantised.

    Attributes
    ----------
    values : Tensor
        Rows as they are, shape ``(n, d)``, float64.
    noisy : Tensor
        The same rows dequantised, several draws one after another where there are few rows: shape ``(draws
        n, d)``.
    """

    values: Tensor
    noisy: Tensor


def read_rows(table: Table, schema: Schema, seed: int, missing: bool = False) -> tuple[Tensor, int]:
    """Read the modelled columns; of a table too long for memory, a uniform sample of its rows.

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
        How many rows the table has.
    """
    most = max(1, _MOST_NUMBERS // len(schema.modelled))
    generator = np.random.default_rng(seed)
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


def divide(rows: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """Split rows that are in random order into training and validation rows.

    Fewer than ten rows are too few to set any aside: they serve as both.

    Raises
    ------
    DataError
        If there are fewer than two rows.
    """
    if len(rows) < 2:
        raise DataError(
            "the table has one row", fix="a density is fitted to two rows or more, better hundreds"
        )
    if len(rows) < FEWEST_TO_DIVIDE:
        return rows, rows
    aside = round(fraction * len(rows))
    return rows[aside:], rows[:aside]


def with_noise(values: Tensor, supports: Supports, seed: int) -> TableRows:
    """Dequantise rows, a few more draws the fewer rows there are."""
    draws = 1
    if supports.gridded:
        draws = min(_MOST_DRAWS, max(1, _REPLICATED_NUMBERS // max(1, values.numel())))
    noisy = [supports.dequantise(values, seed=seed, draw=draw) for draw in range(draws)]
    return TableRows(values, torch.cat(noisy))
