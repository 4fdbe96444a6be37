"""The last stage of a fit to a table longer than memory: EM on all rows, from what a sample of them chose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from logpx.distributions.moments import triangle_of
from logpx.errors import UsageError
from logpx.inference import EMResult, expectation_maximisation
from logpx.latent import LinearGaussian
from logpx.scoring import Ending
from logpx.suggestions import alternatives
from logpx.tables.density import TableDensity
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget, ClimbingFamily, QuickFamily
from logpx.tables.fitting.rows import DividedRows
from logpx.tables.fitting.streamed_rows import (
    MOMENTS,
    STATISTICS,
    RowSum,
    Stopped,
    StreamedRows,
    TableSums,
    table_sums,
)
from logpx.training.em_memory import SumMemory, em_memory

__all__ = [
    "SHARE_OF_SAMPLE",
    "Finish",
    "FitToAllRows",
    "in_place_of_sample",
    "is_long",
    "require_all_rows",
]

#: Of the time, what the search on a sample may take.
SHARE_OF_SAMPLE = 0.3
_ITERATIONS, _TOLERANCE = 100, 1e-6


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How the stage went.

    Attributes
    ----------
    note : str
        What was done, for the user.
    ended : Ending
        What ended it.
    """

    note: str
    ended: Ending


@dataclass(frozen=True, kw_only=True)
class FitToAllRows:
    """All rows of a table, to which the model is fitted that was chosen on some of them.

    Attributes
    ----------
    rows : StreamedRows
        The rows.
    count : int
        How many there are.
    budget : Budget
        What the stage may take, with all of the time that is left for it.
    holes : bool
        Whether cells of the sample are missing.
    """

    rows: StreamedRows
    count: int
    budget: Budget
    holes: bool

    def fit(self, density: TableDensity) -> Finish:
        """Fit the model of a density in place: in closed form where there is one, else by EM.

        The first pass over the rows is never cut short by time, and one M-step at least follows it.
        """
        deadline = None if math.isinf(self.budget.seconds) else self.budget.deadline
        with table_sums(self.rows, density, self.budget.should_stop) as sums:
            try:
                steps, ended = self._fitted(density, sums, deadline)
            except Stopped:
                return Finish(note="the fit to all rows was interrupted", ended=Ending.INTERRUPTED)
        what = "in closed form" if steps == 0 else f"{steps} step{'s' * (steps > 1)} of EM"
        return Finish(note=f"{what} on all {self.count:,} rows", ended=ended)

    def _sum(self, sums: TableSums, what: str) -> RowSum:
        """Return a sum that does not depend on the model, going on with what is kept of it."""
        memory = SumMemory(self.budget.journal.part(f"all-rows-{what}"), sums)
        found = sums.sum(what, pause=memory.pause)
        memory.finish()
        return found

    @torch.no_grad()
    def _fitted(self, density: TableDensity, sums: TableSums, deadline: float | None) -> tuple[int, Ending]:
        """Return how many steps of EM were made, and what ended them."""
        model: Any = density.model
        if isinstance(model, LinearGaussian):
            if not self.holes and self._in_closed_form(density, sums):
                return 0, Ending.CONVERGED
        elif model.components == 1:
            found = self._sum(sums, STATISTICS)
            model.update(found.value)
            if not found.holes:
                # The M-step from complete rows is the maximum.
                return 1, Ending.CONVERGED
        most = self.budget.limits.iterations(_ITERATIONS)
        result = expectation_maximisation(
            model,
            sums,
            max_iterations=most,
            tolerance=_TOLERANCE,
            deadline=deadline,
            memory=em_memory(self.budget.journal.part("all-rows")),
        )
        steps = len(result.history) - 1
        if steps == 0:
            model.update(result.statistics)
            return 1, Ending.TIME
        return steps, self._ending(result, steps, most)

    def _ending(self, result: EMResult, steps: int, most: int) -> Ending:
        if result.converged:
            return Ending.CONVERGED
        if steps >= most:
            return self.budget.limits.counted
        return Ending.INTERRUPTED if self.budget.should_stop() else Ending.TIME

    def _in_closed_form(self, density: TableDensity, sums: TableSums) -> bool:
        """Fit a linear-Gaussian model to complete rows; return whether they all were."""
        model: Any = density.model
        found = self._sum(sums, MOMENTS)
        if found.holes:
            return False
        moments = found.value
        model.update_from_moments(moments)
        if model.needs_root(moments):
            model.update_from_root(moments.mean, triangle_of(self.rows.blocks(density), moments))
        return True


def is_long(read: DividedRows) -> bool:
    """Return whether a table has more rows than models climb on."""
    return read.count * read.rows.shape[1] > ClimbingFamily.most_numbers


def in_place_of_sample(read: DividedRows, seconds: float) -> str:
    """Say that only a sample of a table is fitted, and what all rows would cost.

    Parameters
    ----------
    read
        The rows.
    seconds
        How long it took to read the table.
    """
    return (
        f"a uniform sample of {len(read.rows):,} of the {read.count:,} rows is fitted, as many as there are "
        f"memory and time for; --all-rows fits {alternatives(_able())} to all of them, for {seconds:.0f} s "
        "or more for "
        "each step of EM, which reads the table again"
    )


def _able() -> list[str]:
    return [name for name, family in FAMILIES.items() if isinstance(family, QuickFamily)]


def require_all_rows(model: str) -> None:
    """Raise a `UsageError` if a kind of model cannot be fitted to rows that are not in memory."""
    if not any(isinstance(family, QuickFamily) for family in FAMILIES.named(model)):
        raise UsageError(
            f"all rows of a table longer than memory are fitted by EM, and {model} is trained by gradients",
            fix=f"take {alternatives(_able())}, or leave it at a sample of the rows (no --all-rows)",
        )
