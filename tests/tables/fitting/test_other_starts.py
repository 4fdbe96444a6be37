"""Time that is left goes to fits of the best slow family from other starts, as long as their stack gains."""

import itertools
from collections.abc import Sequence

import pandas as pd
import pytest
import torch
from torch import Tensor

from logpx.distributions import DiagonalNormal, Distribution
from logpx.scoring import Limits
from logpx.tables import infer_schema
from logpx.tables.families.family import Budget, TableFamily
from logpx.tables.fitting.other_starts import fit_from_other_starts
from logpx.tables.fitting.search import Search
from logpx.training import FitResult, StopReason
from logpx.training.history import HistoryRecord

ROWS = torch.cat([torch.linspace(-1.0, 1.0, 60) + centre for centre in (-6.0, 0.0, 6.0)])[:, None].double()


class OneCentre(TableFamily):
    """Normals at the centres in turn, as if trained from several starts."""

    name, summary = "one centre", "a normal distribution at one of the centres"
    takes_cells = True

    def __init__(self, centres: Sequence[float], best_after: float) -> None:
        self.centres, self.best_after = itertools.cycle(centres), best_after
        self.seeds: list[int] = []
        self.seconds: list[float] = []

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        self.seeds.append(budget.seed)
        self.seconds.append(budget.seconds)
        found = DiagonalNormal(1).double()
        with torch.no_grad():
            found.mean.fill_(next(self.centres))
        records = (1, self.best_after, -1.0), (2, self.best_after + 20.0, -2.0)
        history = [
            HistoryRecord(epoch=step, step=step, seconds=seconds, validation=value)
            for step, seconds, value in records
        ]
        budget.trained(
            FitResult(
                model=found,
                history=history,
                events=[],
                best_validation=-1.0,
                best_validation_error=0.1,
                best_epoch=1,
                planned_steps=100,
                stopped=StopReason.PATIENCE,
                train_rows=len(training),
                validation_rows=len(validation),
                seconds=40.0,
                seed=budget.seed,
            )
        )
        return found


def searched(family: OneCentre, limits: Limits) -> Search:
    schema = infer_schema(pd.DataFrame({"x": ROWS[:, 0].numpy() + 0.001 * torch.randn(180).double().numpy()}))
    seconds = min(limits.seconds, 600.0)
    budget = Budget(seconds=seconds, rows=len(ROWS), kinds=["normal"], limits=limits)
    search = Search(schema, ROWS, ROWS.clone(), budget)
    search.run([family])
    fit_from_other_starts(search, [family])
    return search


def test_fits_from_other_starts_are_stacked_as_long_as_they_gain() -> None:
    family = OneCentre([-6.0, 0.0, 6.0], best_after=20.0)
    best = searched(family, Limits(seconds=600.0)).best()
    assert [member.start for member in best.members] == [0, 1, 2]
    assert best.model == "one centre + one centre + one centre"
    assert len(set(family.seeds)) == len(family.seeds) == 4
    # A little longer than the first took to be best, so that the learning rate has come down by then.
    assert family.seconds[1:] == pytest.approx([24.0] * 3)
    assert "start 3" in best.members[2].note


def test_the_first_that_gains_nothing_is_the_last() -> None:
    family = OneCentre([0.0], best_after=20.0)
    search = searched(family, Limits(seconds=600.0))
    assert len(search.candidates) == 1
    assert [record.note for record in search.failures] == ["start 2"]


@pytest.mark.parametrize(
    ("limits", "best_after"),
    [
        (Limits(seconds=60.0), 1.0),
        (Limits(steps=100), 1.0),
        (Limits(seconds=600.0, epochs=3), 1.0),
        (Limits(seconds=600.0), 1200.0),
    ],
    ids=["little time", "steps", "epochs", "takes too long"],
)
def test_otherwise_there_is_one_fit(limits: Limits, best_after: float) -> None:
    search = searched(OneCentre([-6.0, 6.0], best_after), limits)
    assert len(search.candidates) == 1
