"""What the rows set aside look like, column by column, to be compared with later tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from logpx.distributions import Distribution
from logpx.scoring import RankReference
from logpx.tables.companions import answers_conditions
from logpx.tables.fitting.search import Search
from logpx.tables.reference import TableReference, conditional_positions

__all__ = ["table_reference"]

# Rows whose cells are placed in their distributions given the rest.
_CONDITIONED = 2000


@torch.no_grad()
def table_reference(search: Search, densities: Sequence[Distribution]) -> TableReference:
    """Return the reference of the rows set aside, before anything is fitted to them.

    Parameters
    ----------
    search
        The search that has set rows aside.
    densities
        Densities, of which the first that answers conditions places cells given the rest.
    """
    rows = search.held_out.values
    able = next((place for place, one in enumerate(densities) if answers_conditions(one)), None)
    given = None
    if able is not None and rows.shape[1] > 1:
        given = conditional_positions(
            densities[able], search.supports, rows[:_CONDITIONED], search.budget.seed
        )
    return TableReference(
        [RankReference.of(column) for column in rows.T],
        [] if given is None else [RankReference.of(column) for column in given.T],
    )
