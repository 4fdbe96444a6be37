"""What the rows set aside look like, column by column, to be compared with later tables."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from logpx.distributions import Distribution
from logpx.scoring import RankReference
from logpx.tables.fitting.search import Search
from logpx.tables.reference import TableReference, conditional_positions, conditioning_density

__all__ = ["table_reference"]

# Rows whose cells are placed in their distributions given the rest.
_CONDITIONED = 2000


@torch.no_grad()
def table_reference(
    search: Search, density: Distribution, baselines: Mapping[str, Distribution]
) -> TableReference:
    """Return the reference of the rows set aside, before anything is fitted to them.

    Parameters
    ----------
    search
        The search that has set rows aside.
    density, baselines
        The density that answers conditions, if any does, and simple ones of the same training rows.
    """
    rows = search.held_out.values
    able = conditioning_density(density, baselines)
    given: list[RankReference] = []
    if able is not None and rows.shape[1] > 1:
        part = rows[:_CONDITIONED]
        found = conditional_positions(able, search.supports, part, search.budget.seed)
        given = [RankReference.of(column) for column in found.T]
    return TableReference([RankReference.of(column) for column in rows.T], given)
