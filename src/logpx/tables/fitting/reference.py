"""What the rows set aside look like, column by column, to be compared with later tables."""

from __future__ import annotations

import copy
import math
import time

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.scoring import Calibration, RankReference
from logpx.tables.companions import answers_conditions
from logpx.tables.conditioning.surprisals import CellSurprisals
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import QuickFamily
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate
from logpx.tables.reference import TableReference, conditional_positions, reference_scores

__all__ = ["table_reference"]

# Rows whose cells are placed in their distributions given the rest, as many as this share of the time allows.
_CONDITIONED = 2000
_FEWEST_CONDITIONED = 100
_SHARE = 0.5
_LEAST_SECONDS = 2.0
# Rows that tell how long one takes, and what may be computed in a second: in rows with holes each cell of
# each draw of noise takes the root of a matrix of all columns.
_TRIED, _TRIED_AFTER = 4, 32
_SHORTEST = 1e-6
_DRAWS = 8
_STEPS_PER_SECOND = 1e9


@torch.no_grad()
def table_reference(
    search: Search, best: Candidate, conditions: Candidate, *, refitted: bool
) -> TableReference:
    """Return the reference of the rows set aside, before anything is fitted to them.

    Parameters
    ----------
    search
        The search that has set rows aside.
    best
        The candidate that was chosen.
    conditions
        The candidate that answers conditions, if any does.
    refitted
        Whether quick families will be fitted once more, to these rows, too.
    """
    rows, supports, seed = search.held_out.values, search.supports, search.budget.seed
    scores = reference_scores(best.density, supports, rows, seed)
    given: list[RankReference] = []
    if answers_conditions(conditions.density) and rows.shape[1] > 1:
        count = search.budget.journal.decided("rows placed", lambda: _affordable(search, conditions, rows))
        if count:
            found = conditional_positions(conditions.density, supports, rows[:count], seed)
            given = [RankReference.of(column) for column in found.T]
    return TableReference(
        Calibration.of(scores, "rows set aside"),
        [RankReference.of(column) for column in rows.T],
        given,
        _frozen(best, refitted),
        conditions=_frozen(conditions, refitted) if given and conditions is not best else None,
    )


def _affordable(search: Search, conditions: Candidate, rows: Tensor) -> int:
    """Return how many rows there is time to place; 0 if too few to tell anything."""
    if search.budget.should_stop():
        # Whoever has interrupted a fit waits for its model.
        seconds = _LEAST_SECONDS
    elif math.isinf(search.deadline):
        return min(len(rows), _CONDITIONED)
    else:
        seconds = max(_SHARE * (search.deadline - time.monotonic()), _LEAST_SECONDS)
    if bool(rows.isnan().any()) and _TRIED * _DRAWS * rows.shape[1] ** 4 / 3 > seconds * _STEPS_PER_SECOND:
        return 0
    # One column first, for many of them take long however few the rows.
    start = time.monotonic()
    cells = CellSurprisals(conditions.density, search.supports)
    cells.expected(rows[:_TRIED], 0, seed=search.budget.seed)
    if rows.shape[1] * (time.monotonic() - start) > seconds:
        return 0

    def seconds_for(count: int) -> float:
        start = time.monotonic()
        conditional_positions(conditions.density, search.supports, rows[:count], search.budget.seed)
        return time.monotonic() - start

    once = seconds_for(_TRIED)
    each = once / _TRIED
    if len(rows) >= _TRIED_AFTER and _TRIED_AFTER * each < seconds:
        # A few rows take about as long as one.
        each = max(seconds_for(_TRIED_AFTER) - once, 0.0) / (_TRIED_AFTER - _TRIED)
    count = min(len(rows), _CONDITIONED, int((seconds - once) / max(each, _SHORTEST)))
    return count if count >= min(len(rows), _FEWEST_CONDITIONED) else 0


def _frozen(candidate: Candidate, refitted: bool) -> Distribution | None:
    """Return a copy of a density that will be fitted once more; None if it stays as it is."""
    changes = refitted and any(isinstance(FAMILIES[part.model], QuickFamily) for part in candidate.parts)
    return copy.deepcopy(candidate.density).requires_grad_(False) if changes else None
