"""Updating a model of a table on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logpx.cli.requests import Fitted, Parent, UpdateRequest
from logpx.wording import counted

if TYPE_CHECKING:
    from logpx.tables import Table, TableModel

__all__ = ["updated"]


def updated(
    model: TableModel, source: Table, older: Table | None, request: UpdateRequest, parent: Parent
) -> Fitted:
    """Return a model after new rows, with what is said of it."""
    from logpx.tables import update_table

    found = update_table(
        model,
        source,
        statistics=parent.statistics,
        old=older,
        first_row=parent.rows if older is None else older.count_rows(),
        passes=request.passes,
        max_time=request.time,
        max_steps=request.steps,
        max_epochs=request.epochs,
        seed=request.seed,
        progress=False if request.quiet else None,
        should_stop=request.should_stop,
        checkpoint=request.checkpoint,
        resume=request.resume,
        every=request.every,
    )
    return Fitted(
        model=None if found.ended == "interrupted" else found.model,
        metrics={"ended": str(found.ended)},
        document={"new_rows": found.rows},
        notes=found.notes,
        summary=[counted(found.rows, "new row")],
        statistics=found.statistics,
    )
