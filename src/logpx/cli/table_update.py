"""Updating a model of a table on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logpx.cli.requests import Fitted, UpdateRequest
from logpx.wording import counted

if TYPE_CHECKING:
    from logpx.tables import Table, TableModel

__all__ = ["updated"]


def updated(model: TableModel, source: Table, older: Table | None, request: UpdateRequest) -> Fitted:
    """Return a model after new rows, with what is said of it."""
    from logpx.tables import update_table

    found = update_table(
        model,
        source,
        statistics=request.statistics,
        old=older,
        first_row=request.rows_before if older is None else older.count_rows(),
        passes=request.passes,
        max_time=request.time,
        seed=request.seed,
        progress=False if request.quiet else None,
    )
    return Fitted(
        model=found.model,
        metrics={},
        document={"new_rows": found.rows},
        notes=found.notes,
        summary=[counted(found.rows, "new row")],
        statistics=found.statistics,
    )
