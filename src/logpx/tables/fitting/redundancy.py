"""Columns that are linear combinations of others: then no density exists."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions import Moments
from logpx.errors import DataError
from logpx.tables.families.mixtures import normal_of, one_component
from logpx.tables.fitting.dependences import dependent_columns
from logpx.tables.fitting.requirements import leaving_out
from logpx.tables.scales import Standard

__all__ = ["redundancy", "standardised"]

# In any direction, for columns with unit variance, where cells are missing and EM is still on its way.
_FEW_ROWS = 2000
_LEAST_VARIANCE = 1e-10


def redundancy(
    rows: Tensor, names: Sequence[str], covariance: Tensor | None, deadline: float
) -> DataError | None:
    """Return the error that names all columns which are linear combinations of others; None without any.

    Parameters
    ----------
    rows
        Dequantised rows of columns of numbers with about unit variance, shape ``(n, d)``.
    names
        The names of the columns.
    covariance
        That of the columns, if EM has found it for rows with missing cells.
    deadline
        A value of ``time.monotonic()``, by which EM ends, where cells are missing.
    """
    if bool(rows.isnan().any()):
        if covariance is None:
            # Enough to see what depends on what.
            part = rows[: max(_FEW_ROWS, 10 * rows.shape[1])]
            normal = one_component(part, ["normal"] * rows.shape[1], deadline=deadline)[0]
            covariance = normal_of(normal).matrices()[0].detach()
        found = dependent_columns(covariance, _LEAST_VARIANCE)
    else:
        moments = Moments.of(rows, full=True)
        found = dependent_columns(moments.scatter / moments.count)
    if not found:
        return None
    dependent = [names[index] for index in found]
    several = len(dependent) > 1
    return DataError(
        f"the columns {', '.join(dependent)} are linear combinations of other columns"
        if several
        else "the column is a linear combination of other columns",
        column=None if several else dependent[0],
        fix=leaving_out(dependent),
    )


def standardised(x: Tensor) -> Tensor:
    """Return columns centred and scaled, which keeps linear relations of table units, also next to bounds."""
    columns = [Standard.fit(column[~column.isnan()], limit=math.inf)(column)[0] for column in x.T]
    return torch.stack(columns, 1)
