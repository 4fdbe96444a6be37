"""The column maps that a table's models are tried on, chosen within a time limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.support import Support

__all__ = ["column_maps"]

_LEAST_ROWS = 2000


def column_maps(
    rows: Tensor,
    supports: Sequence[Support],
    names: Sequence[str],
    seed: int,
    deadline: float,
    *,
    chosen: bool = True,
) -> tuple[dict[str, ColumnScales], list[str]]:
    """Return both sets of maps, and what was cut short for lack of time.

    Parameters
    ----------
    rows
        Training rows in table units and random order, shape ``(n, d)``, float64.
    supports, names
        Bounds, grid and name of each column.
    seed
        Seed of the comparisons.
    deadline
        A value of ``time.monotonic()``. Once the first column shows that all would take longer, scales are
        chosen on fewer rows; after it, columns are only standardized.
    chosen
        Whether scales are chosen at all.

    Returns
    -------
    dict of str to ColumnScales
        ``standard`` (centred and scaled columns) and ``chosen`` (by held-out likelihood).
    list of str
        Remarks.
    """
    x, count = rows.numpy(), len(supports)
    standard = ColumnScales.standard(x, supports, seed=seed, names=names)
    if not chosen:
        return {"standard": standard}, []
    scales: list[Any] = []
    held_out: list[dict[str, float]] = []
    remarks = []
    part = x
    for index in range(count):
        began = time.monotonic()
        if began > deadline and index:
            remarks.append(f"{count - index:,} of {count:,} columns are only standardized, for lack of time")
            break
        own = slice(index, index + 1)
        # A column that is all but constant may be constant in a sample.
        varies = part is x or len(np.unique(part[:, index])) > _LEAST_ROWS // 10
        fitted = ColumnScales.fit((part if varies else x)[:, own], supports[own], seed=seed, names=names[own])
        scales.extend(fitted.scales)
        held_out.extend(fitted.held_out)
        left = deadline - time.monotonic()
        to_come = (time.monotonic() - began) * (count - index - 1)
        if part is x and to_come > max(left, 0.0):
            affordable = int(len(x) * max(left, 0.0) / to_come)
            part = x[: max(_LEAST_ROWS, affordable)]
            if len(part) < len(x):
                remarks.append(f"scales were chosen on a sample of {len(part):,} rows")
    scales.extend(standard.scales[len(scales) :])
    held_out.extend([{}] * (count - len(held_out)))
    return {"standard": standard, "chosen": ColumnScales(scales, supports, held_out)}, remarks
