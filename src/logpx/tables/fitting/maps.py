"""The column maps that a table's models are tried on, chosen within a time limit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from logpx.errors import DataError
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.support import Support
from logpx.tables.scales import Scale
from logpx.training.journal import Journal
from logpx.wording import counted

__all__ = ["column_maps", "refitted_maps"]

_LEAST_ROWS = 2000
# Scales of so few columns are chosen even if time is up.
_FEW = 50


def column_maps(
    rows: Tensor,
    supports: Sequence[Support],
    names: Sequence[str],
    seed: int,
    *,
    deadline: float,
    journal: Journal,
    weights: Tensor | None = None,
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
        chosen on fewer rows; after it, only the linear scale and the logarithm are looked at, or where it has
        passed before the first, the linear scale alone.
    journal
        What was decided on when the fit was here before.
    weights
        How much each row counts, shape ``(n,)``; by default all count alike.

    Returns
    -------
    dict of str to ColumnScales
        ``standard`` (centred and scaled columns) and ``chosen`` (by held-out likelihood).
    list of str
        Remarks.
    """
    x, count = rows.numpy(), len(supports)
    w = None if weights is None else weights.numpy()
    standard = ColumnScales.standard(x, supports, seed=seed, names=names, weights=w)
    scales: list[Any] = []
    held_out: list[dict[str, float]] = []
    remarks = []
    part = x
    late = journal.decided("late", lambda: count > _FEW and time.monotonic() > deadline)
    for index in range(count):
        began = time.monotonic()
        used = journal.part(str(index)).decided(
            "rows",
            partial(_rows_used, len(part), late=began > deadline if index else late),
        )
        if not used:
            remarks.append(
                f"the scales of {count - index:,} of {counted(count, 'column')} are not compared, "
                "for lack of time"
            )
            rest = slice(index, None)
            known = list(standard)[rest]
            if not late:
                known = list(
                    ColumnScales.quick(
                        x[:, rest], supports[rest], seed=seed, names=names[rest], weights=w, standard=known
                    )
                )
            scales.extend(known)
            break
        if used < len(part):
            part = x[:used]
        if used < len(x) and not remarks:
            remarks.append(f"scales were chosen on a sample of {counted(used, 'row')}")
        own = slice(index, index + 1)
        # A column that is all but constant may be constant in a sample.
        varies = part is x or len(np.unique(part[:, index])) > _LEAST_ROWS // 10
        used_rows = (part if varies else x)[:, own]
        fitted = ColumnScales.fit(
            used_rows,
            supports[own],
            seed=seed,
            names=names[own],
            weights=None if w is None else w[: len(used_rows)],
        )
        scales.extend(fitted.scales)
        held_out.extend(fitted.held_out)
        left = deadline - time.monotonic()
        to_come = (time.monotonic() - began) * (count - index - 1)
        if part is x and to_come > max(left, 0.0):
            affordable = int(len(x) * max(left, 0.0) / to_come)
            part = x[: max(_LEAST_ROWS, affordable)]
    held_out.extend([{}] * (count - len(held_out)))
    return {"standard": standard, "chosen": ColumnScales(scales, supports, held_out)}, remarks


def refitted_maps(
    rows: Tensor,
    supports: Sequence[Support],
    maps: Mapping[str, ColumnScales],
    seed: int,
    weights: Tensor | None = None,
) -> dict[str, ColumnScales]:
    """Return maps of the same kinds, fitted to other rows; a column that never varies there keeps its scale.

    Parameters
    ----------
    rows
        In table units, shape ``(n, d)``, float64.
    supports
        Bounds, grid and atoms of each column.
    maps
        Those of `column_maps`.
    seed
        Seed of the dequantisation.
    weights
        How much each row counts, shape ``(n,)``; by default all count alike.
    """
    x = rows.numpy()
    w = None if weights is None else weights.numpy()
    found: dict[str, list[Scale]] = {name: [] for name in maps}
    for index, support in enumerate(supports):
        own = x[:, index : index + 1]
        for name, scales in found.items():
            scale = list(maps[name])[index]
            try:
                if name == "standard":
                    again = ColumnScales.standard(own, [support], seed=seed, weights=w)
                else:
                    again = ColumnScales.fit(own, [support], seed=seed, weights=w, like=[scale])
            except DataError:
                scales.append(scale)
            else:
                scales.extend(again)
    return {name: ColumnScales(scales, supports) for name, scales in found.items()}


def _rows_used(rows: int, *, late: bool) -> int:
    return 0 if late else rows
