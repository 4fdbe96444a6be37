"""Time goes to the networks that did best in a part of it; those far behind come last."""

import pandas as pd
import pytest
import torch
from torch import Tensor

from logpx.distributions import DiagonalNormal, Distribution
from logpx.scoring import Ending, Limits
from logpx.tables import infer_schema
from logpx.tables.families.family import Budget, TableFamily
from logpx.tables.fitting.longer_fits import FIRST_PART, fit_longer
from logpx.tables.fitting.search import Search
from logpx.training import FitResult, StopReason
from logpx.training.history import HistoryRecord

ROWS = torch.linspace(-1.0, 1.0, 200)[:, None].double()


class Timed(TableFamily):
    """A normal distribution that is off by what its time has not mended."""

    summary = "a normal distribution"
    takes_cells = True

    def __init__(self, name: str, off: float, ended: Ending = Ending.TIME, worse: float = 0.0) -> None:
        self.name, self.off, self.ended, self.worse = name, off, ended, worse
        self.seconds: list[float] = []

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        found = DiagonalNormal(1).double()
        with torch.no_grad():
            found.mean.fill_(self.off / budget.seconds + self.worse * len(self.seconds))
        self.seconds.append(budget.seconds)
        budget.ended(self.ended)
        budget.trained(
            FitResult(
                model=found,
                history=[HistoryRecord(epoch=1, step=1, seconds=1.0, validation=-1.0)],
                events=[],
                best_validation=-1.0,
                best_validation_error=0.1,
                best_epoch=1,
                planned_steps=100,
                stopped=StopReason.TIME,
                train_rows=len(training),
                validation_rows=len(validation),
                seconds=1.0,
                seed=budget.seed,
            )
        )
        return found


def searched(*families: Timed) -> Search:
    schema = infer_schema(pd.DataFrame({"x": ROWS[:, 0].numpy() + 1e-4 * torch.randn(200).double().numpy()}))
    limits = Limits(seconds=100.0)
    budget = Budget(seconds=100.0, rows=len(ROWS), kinds=["normal"], limits=limits)
    search = Search(schema, ROWS, ROWS.clone(), budget)
    search.run(families, part=FIRST_PART)
    fit_longer(search, families)
    return search


def test_the_best_gets_the_time_that_is_left() -> None:
    good, bad = Timed("good", 1.0), Timed("bad", 40.0)
    search = searched(good, bad)
    assert good.seconds[0] == pytest.approx(bad.seconds[0], rel=0.2)
    # No time passes here, so that nothing is used up; those far behind come last.
    assert good.seconds[1] > 3.0 * good.seconds[0]
    assert len(search.candidates) == 2
    assert search.best(stacked=False).model == "good"


def test_time_is_divided_among_those_that_are_close() -> None:
    one, other = Timed("one", 1.0), Timed("other", 1.5)
    searched(one, other)
    assert one.seconds[1] == pytest.approx(0.5 * other.seconds[1], rel=0.1)


def test_what_has_converged_is_not_fitted_again() -> None:
    done, short = Timed("done", 1.0, Ending.PATIENCE), Timed("short", 1.5)
    searched(done, short)
    assert (len(done.seconds), len(short.seconds)) == (1, 2)


def test_the_better_of_two_fits_is_kept() -> None:
    families = Timed("one", 1.0, worse=3.0), Timed("other", 1.0)
    search = searched(*families)
    assert sorted(one.model for one in search.candidates) == ["one", "other"]
    kept = {one.model: one for one in search.candidates}
    assert kept["one"].score > -2.0
    assert [record.model for record in search.failures] == ["one", "other"]


def test_a_single_network_gets_all_at_once() -> None:
    alone = Timed("alone", 1.0)
    searched(alone)
    assert alone.seconds[0] > 50.0
