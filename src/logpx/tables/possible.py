"""Given cells that a model finds impossible: nothing can be conditioned on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from logpx.distributions import Distribution
from logpx.tables.density import impossible_cells
from logpx.tables.reading.table import TableBatch
from logpx.tables.schema.schema import Column
from logpx.tables.schema.unseen_labels import UnseenLabels

__all__ = ["possible_rows"]


def possible_rows(
    density: Distribution,
    x: Tensor,
    columns: Sequence[Column],
    batch: TableBatch,
    unseen: UnseenLabels,
    given: Tensor | None = None,
) -> Tensor:
    """Return rows without the given cells that a density finds impossible: they count as not given.

    Parameters
    ----------
    density
        A density in table units.
    x
        Rows as in the table, shape ``(n, d)``; NaN is missing.
    columns
        The modelled columns.
    batch
        Where the rows were read.
    unseen
        Where such cells are noted; new labels are, as they are read.
    given
        Which columns are given, shape ``(d,)``; all by default.
    """
    impossible = impossible_cells(density, x)
    if given is not None:
        impossible &= given.to(x.device)
    for place, column in enumerate(columns):
        wrong = impossible[:, place].nonzero().flatten()
        if len(wrong) and column.levels is None:
            unseen.add_not_given(column.name, len(wrong), batch.locate(int(wrong[0])))
    return x.masked_fill(impossible, math.nan)
