"""Rows of a table in which only some of a model's columns take part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from logpx.tables.reading.frame_part import with_names
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.unseen_labels import UnseenLabels
from logpx.tables.sources import open_table

__all__ = ["opened", "partial_rows"]


def opened(rows: object, schema: Schema, needed: Sequence[str]) -> Table:
    """Return a table that has the needed columns, and none that the model does not know.

    Parameters
    ----------
    rows
        Anything that `open_table` takes, or a `Table`; an array has the needed columns, in that order.
    schema
        The columns of the model.
    needed
        Names of columns.

    Raises
    ------
    DataError
        Naming a column that is missing or unknown.
    """
    table = rows if isinstance(rows, Table) else open_table(with_names(rows, list(needed)))
    schema.check(table.names, table.file, needed)
    return table


def partial_rows(
    table: Table,
    schema: Schema,
    names: Sequence[str],
    unseen: UnseenLabels | None = None,
    *,
    batch_rows: int = 65536,
) -> Iterator[tuple[TableBatch, Tensor]]:
    """Yield batches with matrices of all modelled columns, NaN in those that do not take part.

    Parameters
    ----------
    table
        A table with the columns that take part.
    schema
        The columns of the model.
    names
        The columns that take part.
    unseen
        Where labels that the model does not know are counted; by default they are an error.
    batch_rows
        Rows per batch.
    """
    part = Schema(columns=[column for column in schema.modelled if column.name in names])
    if not part.columns:
        # Nothing is read of these rows but how many there are.
        for batch in table.batches(batch_rows):
            yield batch, torch.full((batch.rows, len(schema.modelled)), torch.nan, dtype=torch.float64)
        return
    places = [schema.modelled_names.index(name) for name in part.names]
    for batch in modelled_part(table, part).batches(batch_rows):
        x = np.full((batch.rows, len(schema.modelled)), np.nan)
        x[:, places] = to_matrix(batch, part, missing=True, unseen=unseen)
        yield batch, torch.from_numpy(x)
