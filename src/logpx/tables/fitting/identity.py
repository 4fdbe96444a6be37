"""What has to be the same for a fit to be gone on with: its arguments, and the table."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor

from logpx.files.documents import to_bytes
from logpx.tables.families.family import Budget
from logpx.tables.fitting.rows import DividedRows
from logpx.tables.schema.schema import Schema
from logpx.training.run_state import digest

__all__ = ["identity_of"]


def identity_of(
    schema: Schema, read: DividedRows, budget: Budget, arguments: dict[str, Any], *, all_rows: bool = False
) -> dict[str, Any]:
    """Return what `logpx.training.journal.Journal.identify` compares.

    Parameters
    ----------
    schema, read
        The columns, and the rows that were read.
    budget
        Its options, limits and seed.
    arguments
        Other arguments of `fit_table`.
    all_rows
        Whether the model is fitted to all rows in the end.
    """
    weights = [part for part in (read.weights, read.held_out_weights) if part is not None]
    return {
        "arguments": {
            **arguments,
            # As for weights below.
            **({"target": list(budget.target)} if budget.target else {}),
            **({"all_rows": True} if all_rows else {}),
            "components": budget.components,
            "latent": budget.latent,
            "max_steps": budget.limits.steps,
            "max_epochs": budget.limits.epochs,
            "seed": budget.seed,
        },
        "data": {
            "rows": read.count,
            "rows to train": len(read.training),
            "rows to choose by": len(read.held_out),
            # Only where there are any, so that a fit without them goes on whichever version began it.
            **({"weights": digest(weights)} if weights else {}),
        },
        "columns": {
            column.name: _hash(column.model_dump(mode="json"), read.rows[:, index], read.held_out[:, index])
            for index, column in enumerate(schema.modelled)
        },
    }


def _hash(described: dict[str, Any], rows: Tensor, held_out: Tensor) -> str:
    content = to_bytes([described, digest([rows]), digest([held_out])])
    return hashlib.sha256(content).hexdigest()
