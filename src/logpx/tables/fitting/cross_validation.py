"""Scores of few rows, each under models that were fitted without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from logpx.errors import DataError
from logpx.tables.families.family import Budget, TableFamily
from logpx.tables.fitting.rows import folds_of
from logpx.tables.fitting.search import Search
from logpx.tables.schema.schema import Schema

__all__ = ["cross_validation"]


def cross_validation(
    schema: Schema,
    rows: Tensor,
    families: Sequence[TableFamily],
    budget: Budget,
    weights: Tensor | None = None,
) -> tuple[dict[tuple[str, str], Tensor], Tensor, Tensor | None]:
    """Return log p of rows under each model and set of scales, fitted without the fold of the row.

    Scales are chosen and fitted anew for each fold, as models are. A fold without which a column never varies
    is passed over.

    Parameters
    ----------
    schema
        The columns.
    rows
        In random order and table units, shape ``(n, d)``, float64.
    families
        The families.
    budget
        For all folds together.
    weights
        How much each row counts; by default all count alike.

    Returns
    -------
    dict of (str, str) to Tensor
        By the names of the family and of the scales: only those that every fold could fit. Empty if no fold
        could be used.
    Tensor
        The numbers of these rows, ascending, in whose order log p is.
    Tensor or None
        The weights of these rows, in their order.
    """
    count = folds_of(len(rows))
    fold = torch.arange(len(rows)) % count
    found: list[dict[tuple[str, str], Tensor]] = []
    used: list[Tensor] = []
    for number in range(count):
        training = rows[fold != number]
        journal = budget.journal.part(f"fold-{number}")
        own = replace(budget, seconds=budget.seconds / count, rows=len(training), journal=journal)
        try:
            search = Search(
                schema,
                training,
                training,
                own,
                held_out=rows[fold == number],
                weights=None if weights is None else weights[fold != number],
                weights_aside=None if weights is None else weights[fold == number],
            )
        except DataError:
            continue
        search.run(families)
        used.append((fold == number).nonzero().flatten())
        found.append(
            {(candidate.model, candidate.scales): candidate.log_prob for candidate in search.candidates}
        )
    everywhere = set.intersection(*(set(scores) for scores in found)) if found else set()
    places, order = (torch.cat(used) if used else fold[:0]).sort()
    joined = {key: torch.cat([scores[key] for scores in found])[order] for key in everywhere}
    return joined, places, None if weights is None else weights[places]
