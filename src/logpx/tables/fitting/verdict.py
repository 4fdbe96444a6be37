"""The verdict on a fitted table model, by the rows that it was chosen on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from logpx.distributions import Distribution
from logpx.scoring import Evaluation, ModelVerdict, NatsPerRow, Tally, WeightedMean
from logpx.tables.column_ranks import ColumnRanks
from logpx.tables.density import has_bound_alone
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate

__all__ = ["table_verdict"]

# Training rows that are scored, to see how much more probable they are than others.
_TRAINING_ROWS = 1000
# What is left out of a table of many columns, and how long it takes for each of them.
_NO_RANKS = (
    "no columns are looked at for whether they are distributed as the model says (logpx evaluate does)"
)
_RANKS_SECONDS = 0.004
_NO_OVERFIT = "training rows are not compared with those set aside"
_OVERFIT_SECONDS = 0.002


@torch.no_grad()
def table_verdict(
    search: Search, best: Candidate, baselines: Mapping[str, Distribution], measured: str
) -> ModelVerdict:
    """Return the verdict on the best candidate, before it is fitted to the rows set aside, too.

    Parameters
    ----------
    search, best
        The search, and what it found.
    baselines
        Simple distributions, fitted to the same training rows.
    measured
        What rows were set aside, in words.
    """
    rows = search.held_out
    count = len(rows.values)
    bounds = [name for name, one in baselines.items() if has_bound_alone(one, search.supports)]
    tally = Tally(baselines, NatsPerRow(), bounds)
    tally.add(
        best.log_prob.double(),
        {
            name: search.measured(one, rows.noisy).double().view(-1, count).mean(0)
            for name, one in baselines.items()
        },
        rows.weights,
    )
    bound = has_bound_alone(best.density, search.supports)
    evaluation: Evaluation = tally.evaluation("lower bound" if bound else "exact")
    calibration = None
    if search.has_time_for(_NO_RANKS, _RANKS_SECONDS):
        ranks = ColumnRanks(best.density, search.supports, search.names, search.budget.seed)
        ranks.add(rows.values, 0, rows.weights)
        calibration = ranks.calibration()
    return ModelVerdict.of(
        replace(evaluation, calibration=calibration),
        measured,
        unfinished=best.unfinished,
        overfit=_overfit(search, best) if search.has_time_for(_NO_OVERFIT, _OVERFIT_SECONDS) else None,
    )


def _overfit(search: Search, best: Candidate) -> tuple[float, float] | None:
    """Return how much more probable training rows are than those set aside, and the standard error."""
    count = min(_TRAINING_ROWS, len(search.training.values))
    first = search.training.noisy[:count]
    weights = None if search.training.weights is None else search.training.weights[:count]
    own, others = WeightedMean(), WeightedMean()
    for mean, values, weight in (
        (own, search.measured(best.density, first).double(), weights),
        (others, best.log_prob.double(), best.weights),
    ):
        finite = torch.isfinite(values)
        mean.add(values[finite], None if weight is None else weight[finite])
    if min(own.count, others.count) < 2:
        return None
    return own.value - others.value, float(torch.tensor([own.standard_error, others.standard_error]).norm())
