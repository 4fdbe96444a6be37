"""The weights of the rows that a table's model is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx.errors import DataError, UsageError
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.weights import Array, row_weights
from logpx.training.convert import as_weights
from logpx.wording import counted

__all__ = ["Weighing", "effective_rows", "given_weights", "scaled"]


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """What says how much each row of a table counts.

    Attributes
    ----------
    schema : Schema
        The columns, of which one may be that of weights.
    given : numpy.ndarray or None
        The weight of each row, where no column says so.
    by : str
        What it is, in words; empty if all rows count alike.
    """

    schema: Schema
    given: Array | None
    by: str

    @classmethod
    def of(cls, table: Table, schema: Schema, given: Array | None = None) -> Weighing:
        """Return what weighs the rows of a table.

        Raises
        ------
        DataError
            If the table lacks the column that does.
        """
        if schema.weight is not None and schema.weight not in table.names:
            raise DataError(
                "the table lacks this column, which says how much each row counts",
                file=table.file,
                column=schema.weight,
                fix="add the column, or fit without weights",
            )
        by = "weighted" if given is not None else ""
        return cls(schema=schema, given=given, by=f"weighted by {schema.weight!r}" if schema.weight else by)

    def weights(self, batch: TableBatch) -> Array:
        """Return the weights of a batch; 1 for each row if all count alike."""
        if self.given is not None:
            return self.given[batch.start : batch.start + batch.rows]
        found = row_weights(batch, self.schema)
        return np.ones(batch.rows) if found is None else found

    def check_count(self, rows: int) -> None:
        """Raise a `DataError` if there is not one weight for each row of the table."""
        if self.given is not None and len(self.given) != rows:
            raise DataError(
                f"{counted(len(self.given), 'weight')} for {counted(rows, 'row')}",
                fix="give one weight per row",
            )


def given_weights(weights: Any) -> Array | None:
    """Return weights that are given as numbers, one for each row, checked; None of a column's name.

    Raises
    ------
    DataError
        If one is negative or not finite; the first such row is named.
    """
    if weights is None or isinstance(weights, str):
        return None
    try:
        count = len(weights)
    except TypeError:
        raise UsageError(
            f"the weights are a {type(weights).__name__}",
            fix="name the column that holds them, or give one number per row",
        ) from None
    found: Array = as_weights(weights, count, torch.float64).numpy()
    return found


def effective_rows(weights: Tensor) -> float:
    r"""Return Kish's number of rows that count alike and tell as much, :math:`(\sum w)^2 / \sum w^2`."""
    return float(weights.sum().square() / weights.square().sum())


def scaled(weights: Tensor | None) -> Tensor | None:
    """Return weights whose sum is the effective number of rows, beside which priors weigh what they should.

    Then only ratios of weights matter: shares that sum to 1 and numbers of people in millions are alike.
    """
    if weights is None:
        return None
    return weights * (effective_rows(weights) / float(weights.sum()))
