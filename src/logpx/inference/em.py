"""Expectation maximisation: one algorithm for every model that supports it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from logpx.errors import DivergedError, LogpxError, ModelFolderError
from logpx.inference.shared_e_step import (
    Batch,
    LastingBatches,
    SharedEStep,
    SummedRows,
    SumOfBatches,
    TimeIsUp,
)
from logpx.inference.squarem import Extrapolation
from logpx.processes.team import current_team
from logpx.representations import Shown

__all__ = ["Batches", "EMMemory", "EMModel", "EMResult", "EMState", "expectation_maximisation"]

Batches = Callable[[], Iterable[Batch]]

# Rounding of sums over many rows; anything more is a fall.
_ROUNDING = 1e-9
# How many iterations in a row without a jump have to agree that accelerated EM has converged.
_PLAIN = 4


@runtime_checkable
class EMModel(Protocol):
    """What EM needs from a model: statistics that can be added, an update from them, and a log-prior."""

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> Any:
        """E-step: expected sufficient statistics of rows, with their ``log_likelihood`` and ``weight``."""

    def update(self, statistics: Any) -> None:
        """M-step: set the parameters from the statistics."""

    def log_prior(self) -> Tensor:
        """Log-density of the prior at the parameters, up to a constant."""


@dataclass(kw_only=True, repr=False)
class EMResult(Shown):
    """The result of a run of EM.

    Attributes
    ----------
    log_likelihood : float
        Weighted mean of log p(x) over the rows, at the model's present parameters, in nats.
    history : list of float
        The penalised mean log-likelihood before each M-step; it never falls.
    converged : bool
        Whether the remaining gain fell below the tolerance.
    largest_fall : float
        The largest fall of the penalised mean log-likelihood from one iteration to the next, beyond
        rounding; 0 unless the model's M-step fails to maximise the expectation of its E-step.
    statistics : object
        The statistics of the last E-step, at the model's present parameters.
    """

    log_likelihood: float = float("-inf")
    history: list[float] = field(default_factory=list)
    converged: bool = False
    largest_fall: float = 0.0
    statistics: Any = None

    @property
    def penalised(self) -> float:
        """The last penalised mean log-likelihood, in nats per row."""
        return self.history[-1] if self.history else float("-inf")


@dataclass(frozen=True, kw_only=True, repr=False)
class EMState(Shown):
    """Where a run of EM is before an E-step or within one: all that the iterations to come depend on.

    Attributes
    ----------
    iteration : int
        How many E-steps are done.
    finished : bool
        Whether no more are to come.
    tensors : dict of str to Tensor
        The model's state, the points of an extrapolation, and what of the E-step's sum is done.
    values : dict of str to object
        The rest, as JSON values.
    """

    iteration: int
    finished: bool
    tensors: dict[str, Tensor]
    values: dict[str, Any]


class EMMemory(Protocol):
    """Where a run of EM of a torch module is kept, so that it can be gone on with."""

    def recall(self) -> EMState | None:
        """Return the state to go on from; None at the start of a run."""

    def pause(self, capture: Callable[[], EMState]) -> bool:
        """Keep the state if it is time to, and return whether EM is to end here.

        Between two iterations, and within an E-step, which goes on whatever is returned.
        """

    def finish(self, capture: Callable[[], EMState]) -> None:
        """Keep the last state of a run that has ended by itself."""


class _Course:
    """One run of EM: the state between iterations."""

    def __init__(
        self,
        model: EMModel,
        sums: SummedRows,
        memory: EMMemory | None,
        *,
        tolerance: float,
        accelerate: bool,
    ) -> None:
        self.model, self.tolerance = model, tolerance
        self._sums, self._memory = sums, memory
        self.result = EMResult()
        module = model if isinstance(model, nn.Module) else None
        self._module = module
        self._extrapolation = Extrapolation(module) if accelerate and module is not None else None
        self._gain, self._plain = math.inf, 0

    def state(self, *, summing: bool = False, finished: bool = False, late: bool = False) -> EMState:
        """Return a copy of the state before an E-step, within one, or after the last."""
        assert self._module is not None
        tensors = {f"model/{name}": value.clone() for name, value in self._module.state_dict().items()}
        values = {
            "history": list(self.result.history),
            "log_likelihood": self.result.log_likelihood,
            "largest_fall": self.result.largest_fall,
            "converged": self.result.converged,
            "gain": self._gain,
            "plain": self._plain,
            "late": late,
        }
        if self._extrapolation is not None:
            tensors |= self._extrapolation.tensors()
            values["extrapolation"] = self._extrapolation.values()
        kept = self._sums.kept() if summing or finished else None
        if kept is not None:
            tensors |= kept[0]
            values["sum"] = kept[1]
        iteration = len(self.result.history)
        return EMState(iteration=iteration, finished=finished, tensors=tensors, values=values)

    def restore(self, state: EMState) -> None:
        """Bring model and run into a state."""
        assert self._module is not None
        start = "model/"
        own = {name.removeprefix(start): t for name, t in state.tensors.items() if name.startswith(start)}
        self._module.load_state_dict(own)
        values = state.values
        self.result.history[:] = values["history"]
        self.result.log_likelihood = values["log_likelihood"]
        self.result.largest_fall = values["largest_fall"]
        self.result.converged = values["converged"]
        self._gain, self._plain = values["gain"], values["plain"]
        if self._extrapolation is not None:
            self._extrapolation.restore(state.tensors, values["extrapolation"])
        if values.get("sum") is not None:
            self._sums.go_on(state.tensors, values["sum"])
        if state.finished:
            self.result.statistics = self.e_step(None)[0]

    def e_step(self, deadline: float | None) -> tuple[Any, float]:
        """Return the statistics at the present parameters, and the penalised mean log-likelihood."""
        total = self._sums.total(deadline, self._pause)
        return total, _penalised(self.model, total)

    def _pause(self) -> None:
        if self._memory is not None:
            self._memory.pause(partial(self.state, summing=True))

    def score(self, deadline: float | None) -> bool:
        """Do an E-step, and judge a jump that came before it; return whether there was time for that."""
        extrapolation = self._extrapolation
        pending = extrapolation is not None and extrapolation.pending
        # Without a first E-step nothing would be known of the model.
        until = deadline if self.result.statistics is not None else None
        try:
            total, penalised = self.e_step(until)
        except TimeIsUp:
            if extrapolation is not None and pending:
                extrapolation.judge(worse=True)
            return False
        except (DivergedError, RuntimeError):
            if not pending:
                raise
            total, penalised = None, -math.inf
        jumped = False
        if extrapolation is not None and pending:
            worse = not penalised >= self.result.penalised - _ROUNDING * abs(self.result.penalised)
            extrapolation.judge(worse)
            jumped = not worse
            if worse:
                try:
                    total, penalised = self.e_step(until)
                except TimeIsUp:
                    return False
        self._record(total, penalised, jumped)
        return True

    def _record(self, total: Any, penalised: float, jumped: bool) -> None:
        result = self.result
        result.statistics = total
        result.log_likelihood = float(total.log_likelihood) / float(total.weight)
        previous = result.penalised
        result.history.append(penalised)
        last, self._gain = self._gain, penalised - previous
        scale = max(1.0, abs(penalised))
        if self._gain < -_ROUNDING * scale:
            result.largest_fall = max(result.largest_fall, -self._gain)
        # Only gains of plain EM predict the next ones, and the first after a jump repairs its errors.
        self._plain = 0 if jumped else self._plain + 1
        to_come = _to_come(last, self._gain) if self._plain > 1 else self._gain
        small = to_come < self.tolerance * scale
        if self._extrapolation is not None:
            self._extrapolation.resting = small
        result.converged = small and (self._extrapolation is None or self._plain >= _PLAIN)

    def maximise(self) -> None:
        """Do the M-step, and perhaps a jump."""
        self.model.update(self.result.statistics)
        if self._extrapolation is not None:
            self._extrapolation.step()


@torch.no_grad()
def expectation_maximisation(
    model: EMModel,
    batches: Batches | SummedRows,
    *,
    max_iterations: int = 200,
    tolerance: float = 1e-6,
    deadline: float | None = None,
    accelerate: bool = False,
    callback: Callable[[int, float], bool | None] | None = None,
    memory: EMMemory | None = None,
) -> EMResult:
    r"""Alternate E- and M-steps until hardly any gain remains.

    Gains shrink by a nearly constant factor r, so that after a gain g about :math:`g\,r / (1 - r)` is left
    (Aitken 1926; Böhning et al. 1994). EM ends when that and g itself are less than the tolerance times the
    larger of 1 and the absolute mean log-likelihood per row; accelerated EM also needs four iterations in a
    row without a jump.

    Parameters
    ----------
    model
        Fitted in place, starting from its parameters.
    batches
        Called once per iteration; yields (rows, weights or None). One batch or many give the same result.
        Or an `SummedRows`, which adds up the statistics of rows by itself.
    max_iterations
        The most iterations.
    tolerance
        Relative, per row; below 0, all iterations are run.
    deadline
        A value of ``time.monotonic()`` at which EM ends, after the batch that it is at. An E-step under way
        is abandoned, unless it is the first: the model keeps the parameters of the last M-step.
    accelerate
        Extrapolate the parameters of a torch module after every second iteration (SQUAREM). A jump that does
        not raise the likelihood is undone, so that EM stays monotone.
    callback
        Called with the iteration and the penalised mean log-likelihood; returning true ends EM.
    memory
        Where the run is kept; it goes on from what is kept already, and ends at once if that had ended.

    Returns
    -------
    EMResult
        Its log-likelihood is that of the final parameters, not of those before the last M-step, unless the
        deadline fell between the two.

    Raises
    ------
    DivergedError
        If there are no rows, or the log-likelihood is not finite.
    """
    with _sums_of(model, batches) as sums:
        course = _Course(model, sums, memory, tolerance=tolerance, accelerate=accelerate)
        return _run(course, max_iterations, deadline, callback, memory)


def _run(
    course: _Course,
    max_iterations: int,
    deadline: float | None,
    callback: Callable[[int, float], bool | None] | None,
    memory: EMMemory | None,
) -> EMResult:
    result = course.result
    known = None if memory is None else memory.recall()
    if known is not None:
        _restored(course, known)
        if known.finished:
            return result
    late = True
    while course.score(deadline):
        late = deadline is not None and time.monotonic() > deadline
        stop = callback is not None and bool(callback(len(result.history) - 1, result.penalised))
        if result.converged or late or stop or len(result.history) > max_iterations:
            break
        course.maximise()
        if memory is not None and memory.pause(course.state):
            return result
        late = True
    if memory is not None:
        memory.finish(partial(course.state, finished=True, late=late and not result.converged))
    return result


def _restored(course: _Course, state: EMState) -> None:
    """Bring a run into a kept state.

    Raises
    ------
    ModelFolderError
        If it is no state of this run.
    """
    try:
        course.restore(state)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, LogpxError):
            raise
        raise ModelFolderError(
            f"what was kept after {state.iteration} iterations is not the state of this run of EM: {error}",
            fix="resume with the logpx that wrote it, or start again in another folder",
        ) from error


@contextmanager
def _sums_of(model: EMModel, batches: Batches | SummedRows) -> Iterator[SummedRows]:
    """Have other processes do their share of the E-steps, if there are any."""
    team = current_team()
    if isinstance(batches, SummedRows):
        yield batches
        return
    alone = SumOfBatches(model, batches)
    one = isinstance(batches, LastingBatches) and len(list(islice(batches(), 2))) < 2
    if team is None or one or not isinstance(model, nn.Module):
        yield alone
        return
    with team.models(model) as number:
        yield alone if number is None else SharedEStep(team, number, model, batches)


def _penalised(model: EMModel, total: Any) -> float:
    """Return the penalised mean log-likelihood, given the statistics of all rows."""
    if total is None or not float(total.weight) > 0.0:
        raise DivergedError(
            "EM was given no rows", fix="give at least one row that has a value and a weight above 0"
        )
    weight = float(total.weight)
    penalised = (float(total.log_likelihood) + float(model.log_prior())) / weight
    if not math.isfinite(penalised):
        raise DivergedError(
            "the log-likelihood of EM is not finite",
            fix="scale the columns, use fewer components, or give a prior",
        )
    return penalised


def _to_come(last: float, gain: float) -> float:
    """Return the likelihood still to gain, predicted from two gains, and no less than the last one."""
    if not math.isfinite(gain) or gain <= 0.0:
        return gain
    if not math.isfinite(last) or gain >= last:
        return math.inf
    return max(gain, gain * gain / (last - gain))
