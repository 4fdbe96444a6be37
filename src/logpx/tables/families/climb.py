"""EM within a time limit: on as many rows as the time allows, with an eye on the clock between chunks."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.inference import EMResult, expectation_maximisation
from logpx.inference.shared_e_step import LastingBatches
from logpx.latent import LatentMixture, LinearGaussian
from logpx.scoring import Ending
from logpx.training.em_memory import em_memory
from logpx.training.journal import Journal
from logpx.training.resampling import repeated_places
from logpx.wording import counted

__all__ = ["Climb", "climb", "repeated"]

# Up to this many numbers (cells times components) an E-step takes milliseconds.
_FEW_NUMBERS = 200_000
_PROBE_ROWS = 256
_PROBE_NUMBERS = 2_000_000
_LEAST_ROWS = 2000
# Fewer iterations than this on all rows are worth less than these on a part of them.
_ITERATIONS = 6
_SECONDS_PER_CHUNK = 0.1
# Of a chunk where time does not matter: its size depends neither on the speed of the machine nor on how many
# processes divide the chunks among them.
_NUMBERS_PER_CHUNK = 2**18
# The start, the first E-step, which is never abandoned, and the evaluation.
_FIRST_PASSES = 3
_ROWS_PER_COMPONENT = 10
# Of the time left, what a probe may take.
_PROBE_SHARE = 0.01


@dataclass(frozen=True)
class Climb:
    """How far EM came.

    Attributes
    ----------
    result : EMResult
        What EM returned.
    remark : str
        What was cut short, and of how many different rows the fit is if not of all; empty if nothing was.
    ending : Ending
        What ended it; iterations count as steps.
    rows : int
        How many different rows it climbed on; 0 if there was no time for EM, or no need.
    """

    result: EMResult
    remark: str
    ending: Ending
    rows: int = 0


@torch.no_grad()
def climb(
    model: LatentMixture | LinearGaussian,
    rows: Tensor,
    deadline: float,
    start: Callable[[Tensor], object] | None = None,
    *,
    max_iterations: int,
    tolerance: float,
    accelerate: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    weights: Tensor | None = None,
    journal: Journal | None = None,
    of_rows: int | None = None,
) -> Climb:
    """Run EM until it converges or time is up.

    Parameters
    ----------
    model
        Fitted in place.
    rows
        In random order, shape ``(n, d)``, float64.
    deadline
        A value of ``time.monotonic()``, perhaps infinite. If some six iterations on all rows would take
        longer, EM is given the first rows only, at least 2,000. If even two passes over these would, one
        component takes the moments of pairs of columns, and several are given fewer rows. A model that
        already has parameters keeps them unless there is time for a pass over all different rows: it would
        forget those that are left out.
    start
        Sets the parameters that EM starts from, given the rows; None keeps those of the model.
    max_iterations, tolerance, accelerate
        As in `logpx.inference.expectation_maximisation`.
    should_stop
        Asked after each iteration.
    weights
        How much each row counts, shape ``(n,)``; by default all count alike. EM starts from rows repeated in
        proportion.
    journal
        Where the run is kept.
    of_rows
        How many different rows there are: `rows` begins with them, as far as there is time for them, and any
        others are noisy copies. By default there are no copies.

    Raises
    ------
    UsageError
        If there is not even time for several components on a few rows.
    """
    of_rows = len(rows) if of_rows is None else of_rows
    journal = Journal() if journal is None else journal
    count, size = journal.decided(
        "taken", lambda: _affordable(model, rows, deadline, None if start is not None else of_rows)
    )
    part = rows[:count]
    own = None if weights is None else weights[:count]
    if not count:
        if start is None:
            return Climb(EMResult(), "", Ending.TIME)
        model.match_moments(repeated(rows, weights))
        remark = "from the moments of pairs of columns, for lack of time for EM"
        return Climb(EMResult(), remark, Ending.TIME)
    if start is not None:
        start(repeated(part, own))

    def batches() -> Iterator[tuple[Tensor, Tensor | None]]:
        shares = itertools.repeat(None) if own is None else torch.split(own, size)
        return zip(torch.split(part, size), shares, strict=False)

    result = expectation_maximisation(
        model,
        LastingBatches(batches),
        max_iterations=max_iterations,
        tolerance=tolerance,
        accelerate=accelerate,
        deadline=deadline,
        callback=None if journal.keeps else lambda *_: should_stop(),
        memory=em_memory(journal),
    )
    remarks, ending = [], Ending.CONVERGED
    iterations = max(1, len(result.history) - 1)
    if not result.converged:
        ending = Ending.INTERRUPTED if iterations < max_iterations else Ending.STEPS
        if iterations < max_iterations and time.monotonic() > deadline:
            ending = Ending.TIME
            remarks.append(f"stopped by the time limit after {iterations} iteration{'s' * (iterations > 1)}")
    if len(part) < len(rows):
        ending = Ending.last_of([ending, Ending.TIME])
    if len(part) < of_rows:
        remarks.append(f"fitted to a sample of {len(part):,} of {counted(of_rows, 'row')}")
    return Climb(result, "; ".join(remarks), ending, rows=min(len(part), of_rows))


def repeated(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Return as many rows, each repeated in proportion to its weight; themselves if all count alike."""
    return rows if weights is None else rows[repeated_places(weights, len(rows))]


def _affordable(
    model: LatentMixture | LinearGaussian, rows: Tensor, deadline: float, known: int | None
) -> tuple[int, int]:
    """Return how many of the rows there is time for, 0 for EM on none, and how many to take at once.

    A model that already has parameters is given the `known` first rows, at least.

    Raises
    ------
    UsageError
        If there is not even time for several components on a few rows.
    """
    fresh = known is None
    cost = _cost_of(model, rows, fresh, deadline)
    part = rows
    if cost is not None:
        left = deadline - time.monotonic()
        part = rows[: max(_LEAST_ROWS if known is None else known, cost.rows_within(left, _ITERATIONS))]
        passes = _FIRST_PASSES if fresh else 1
        if cost.seconds(len(part), passes) > left:
            if not fresh or model.components == 1:
                return 0, 0
            part = rows[: cost.rows_within(left, passes)]
            if len(part) < min(len(rows), _ROWS_PER_COMPONENT * model.components):
                raise UsageError(
                    f"the time limit is too short for {counted(model.components, 'component')}",
                    fix="raise --time, or ask for fewer components",
                )
    return len(part), _chunk_rows(part, cost, deadline)


def _chunk_rows(rows: Tensor, cost: _Cost | None, deadline: float) -> int:
    """Return how many rows are passed over between looks at the clock."""
    if cost is not None:
        return max(_probe_rows(rows), int(_SECONDS_PER_CHUNK / cost.per_row))
    return len(rows) if math.isfinite(deadline) else max(_PROBE_ROWS, _NUMBERS_PER_CHUNK // rows.shape[1])


@dataclass(frozen=True)
class _Cost:
    """What EM costs.

    Attributes
    ----------
    per_row : float
        Seconds that an E-step takes for each row.
    per_step : float
        Seconds that an M-step takes.
    """

    per_row: float
    per_step: float

    def seconds(self, rows: int, passes: int) -> float:
        """Return how long passes over so many rows take, each with an M-step."""
        return passes * (rows * self.per_row + self.per_step)

    def rows_within(self, seconds: float, passes: int) -> int:
        """Return how many rows can be passed over so often."""
        return max(0, int((seconds / passes - self.per_step) / self.per_row))


def _cost_of(
    model: LatentMixture | LinearGaussian, rows: Tensor, fresh: bool, deadline: float
) -> _Cost | None:
    """Return what EM costs, from a few rows; None if it does not matter."""
    if math.isinf(deadline) or rows.numel() * model.components <= _FEW_NUMBERS:
        return None
    per_step = 0.0
    if fresh:
        mixture = model.normal if isinstance(model, LinearGaussian) else model
        # The start takes eigenvalues of a matrix of all columns, as M-steps do.
        began = time.monotonic()
        mixture.parts.initialise(rows)
        per_step = time.monotonic() - began
    count = _probe_rows(rows)
    model.statistics(rows[:count])
    while True:
        began = time.monotonic()
        model.statistics(rows[:count])
        spent = max(time.monotonic() - began, 1e-9)
        # What does not depend on the rows weighs less with more of them.
        if 4 * count > min(_PROBE_ROWS, len(rows)) or spent > _PROBE_SHARE * (deadline - began):
            return _Cost(spent / min(count, len(rows)), per_step)
        count *= 4


def _probe_rows(rows: Tensor) -> int:
    """Return fewer rows the more columns there are, whose products cost most."""
    return max(16, min(_PROBE_ROWS, _PROBE_NUMBERS // rows.shape[1] ** 2))
