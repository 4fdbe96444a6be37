"""A quick model of rows that are in memory."""

from __future__ import annotations

import torch

from logpx.tables.columns.supports import Supports
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import FEW_ROWS, Budget
from logpx.tables.fitting.rows import divide
from logpx.tables.fitting.search import Search
from logpx.tables.model import TableModel
from logpx.tables.schema.schema import Schema

__all__ = ["fit_rows"]

_SHARE_HELD_OUT = 0.15


def fit_rows(schema: Schema, rows: torch.Tensor, model: str, *, seconds: float, seed: int = 0) -> TableModel:
    """Return one family's model of rows that are in memory, its size chosen on some of them.

    Parameters
    ----------
    schema
        The columns.
    rows
        In table units, shape ``(n, d)``, float64; NaN is missing.
    model
        The name of a quick family.
    seconds, seed
        As in `fit_table`.

    Raises
    ------
    DataError
        If there are fewer than two rows, or a column never varies.
    DivergedError
        If no fit stays finite.
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    training, held_out = divide(rows[order], _SHARE_HELD_OUT, FEW_ROWS)
    budget = Budget(
        seconds=seconds,
        rows=len(training),
        kinds=["normal" if one.levels is None else len(one.levels) for one in schema.modelled],
        supports=Supports.of(schema.modelled).supports,
        periods=[column.periods for column in schema.modelled],
        seed=seed,
    )
    search = Search(schema, training, held_out, budget)
    search.run([FAMILIES[model]])
    return TableModel(schema, search.best(stacked=False).density).eval()
