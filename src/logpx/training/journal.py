"""What a fit has done and decided so far, kept in a folder: an interrupted one goes on where it was."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from logpx.errors import DataError, ResourceError, UsageError
from logpx.files.folders import translated_errors
from logpx.files.lock import exclusive
from logpx.training.checkpoints import Moment, Pace, StateFolder, TrainingState
from logpx.training.kept_values import BegunValues, PlanValues, checked_values

__all__ = ["Journal", "journal_of", "seconds_of"]

# Parts of a journal that are not runs.
_BEGUN, _PLAN = "begun", "plan"

# Decisions that stay as they are when there is more time.
_LASTING = ("/begun", "/rows")
_LIMIT = "limit"

Decision = TypeVar("Decision")


@dataclass(kw_only=True)
class _Shared:
    """What all parts of a journal have in common.

    Attributes
    ----------
    pace
        When to write.
    eager
        Whether the first and the last state of a run are written at once.
    should_stop
        Whether the fit is to stop; from then on nothing is kept but what is unfinished.
    before : float
        Seconds that the fit took before this process.
    decisions : dict
        What depended on time, by name.
    unwritten : list
        States of runs that have ended, and where they go.
    closed : bool
        Whether nothing more is kept.
    extended : bool
        Whether the fit was given more time.
    """

    path: Path
    pace: Pace
    eager: bool
    resume: bool
    should_stop: Callable[[], bool]
    began: float = field(default_factory=time.monotonic)
    before: float = 0.0
    decisions: dict[str, Any] = field(default_factory=dict)
    unwritten: list[tuple[StateFolder, TrainingState]] = field(default_factory=list)
    plans: int = 0
    closed: bool = False
    extended: bool = False

    def seconds(self) -> float:
        """Return how long the fit has taken so far, in this process and before."""
        return self.before + time.monotonic() - self.began

    def read_plan(self) -> None:
        """Go on with the decisions and the time of the process before."""
        state = StateFolder(self.path / _PLAN).last()
        if state is not None:
            checked_values(PlanValues, state.values, "the plan of a fit")
            self.decisions.update(state.values["decisions"])
            self.before, self.plans = state.values["seconds"], state.step

    def flush(self) -> None:
        """Write what is decided and what has ended."""
        self.plans += 1
        values = {"decisions": self.decisions, "seconds": self.seconds()}
        StateFolder(self.path / _PLAN).write(TrainingState(self.plans, {}, values))
        while self.unwritten:
            folder, state = self.unwritten[0]
            folder.write(state)
            del self.unwritten[0]

    def close(self) -> None:
        """Write what waits, and keep nothing more."""
        try:
            if self.unwritten:
                self.flush()
        except ResourceError as error:
            warnings.warn(f"{error.file}: finished parts were not kept ({error.message})", stacklevel=2)
        self.closed = True

    def write(
        self, folder: StateFolder, capture: Callable[[], TrainingState], *, planned: bool
    ) -> str | None:
        """Write a state, after all that it depends on; if that fails, warn and say why."""
        began = time.monotonic()
        state = capture()
        try:
            if planned:
                self.flush()
            folder.write(state)
        except ResourceError as error:
            warnings.warn(
                f"{error.file}: no checkpoint was written after step {state.step} ({error.message}); "
                "older ones are as they were",
                stacklevel=2,
            )
            return error.message
        finally:
            self.pace.took(time.monotonic() - began)
        return None


class Journal:
    """The runs and decisions of one fit, in a folder; or none, and nothing is kept.

    A fit consists of runs: of gradient descent, of EM. Each is a part of the journal with a name. Fits are
    repeated from the start when they are resumed: runs that have ended give their results at once, the one
    that was interrupted goes on from its last state, and what depended on time is decided as before.

    Parameters
    ----------
    shared
        What all parts have in common; None keeps nothing.
    name
        The name of this part; empty for the whole.

    Examples
    --------
    >>> nothing = Journal()
    >>> nothing.part("maf").decided("seconds", lambda: 3.0)
    3.0
    """

    def __init__(self, shared: _Shared | None = None, name: str = "") -> None:
        self._shared, self._name = shared, name
        self._saved: int | None = None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._shared is not None and not self._shared.closed

    @property
    def seconds(self) -> float:
        """How long the fit has taken so far, in all its processes; 0 if nothing is kept."""
        return 0.0 if self._shared is None else self._shared.seconds()

    @property
    def before(self) -> float:
        """How many seconds the fit took in the processes before this one."""
        return 0.0 if self._shared is None else self._shared.before

    @contextmanager
    def held(self, *, flush: bool = False) -> Iterator[None]:
        """Hold the folder for a fit, and go on with what is in it.

        Parameters
        ----------
        flush
            Whether to write what waits in memory at the end: the fit may be given more time.

        Raises
        ------
        UsageError
            If another process holds it.
        ResourceError
            If it cannot be made.
        """
        if self._shared is None or self._name:
            yield
            return
        with translated_errors(self._shared.path):
            self._shared.path.mkdir(parents=True, exist_ok=True)
        with exclusive(self._shared.path):
            if self._shared.resume:
                self._shared.read_plan()
            yield
            if flush and not self._shared.closed:
                self._shared.close()

    def part(self, name: str) -> Journal:
        """Return the part of a run, or of several; the same name always means the same run."""
        self._look()
        return Journal(self._shared, f"{self._name}.{name}" if self._name else name)

    def identify(self, identity: Mapping[str, Any], file: object = None) -> None:
        """Note what the fit is of, or compare with what was noted when it was begun.

        Parameters
        ----------
        identity
            JSON values: ``"arguments"`` and ``"data"`` by name, and ``"columns"``, a hash for each.
        file
            The name of the data in errors.

        Raises
        ------
        UsageError
            If an argument differs; names it.
        DataError
            If the data differ; names what differs.
        """
        if self._shared is None:
            return
        folder = StateFolder(self._shared.path / _BEGUN)
        begun = folder.last() if self._shared.resume else None
        if begun is None:
            folder.write(TrainingState(0, {}, dict(identity)))
        else:
            checked_values(BegunValues, begun.values, "the beginning of a fit")
            _compare(identity, begun.values, file)

    def decided(self, name: str, decide: Callable[[], Decision]) -> Decision:
        """Return what was decided when the fit was here before, or else decide it now.

        Parameters
        ----------
        name
            The name of the decision within this part.
        decide
            Returns JSON values, which may depend on time.
        """
        self._look()
        if not self.keeps:
            return decide()
        assert self._shared is not None
        decisions, key = self._shared.decisions, f"{self._name}/{name}"
        if key not in decisions:
            decisions[key] = decide()
        found: Decision = decisions[key]
        return found

    def knows(self, name: str) -> bool:
        """Return whether something was decided when the fit was here before."""
        return self._shared is not None and self.keeps and f"{self._name}/{name}" in self._shared.decisions

    def allotted(self, seconds: float) -> tuple[float, float]:
        """Return the seconds that this part was given when it was begun, and how many of them are spent.

        Parameters
        ----------
        seconds
            What it is given if it is begun now, or given more.
        """
        begun = self.decided("begun", lambda: self.seconds)
        spent = self.seconds - begun
        return self.decided("seconds", lambda: seconds + spent), spent

    def last(self) -> TrainingState | None:
        """Return the state to go on from; None at the start of a run.

        Raises
        ------
        ModelFolderError
            If there are states, and none can be read.
        """
        if not self.keeps or self._shared is None or not self._shared.resume:
            return None
        state = self._folder(self._shared).last()
        if state is not None:
            self._saved = state.step
        return state

    def offer(self, step: int | None, capture: Callable[[], TrainingState], moment: Moment) -> str | None:
        """Keep a state of the run, if it is time to; return why that failed, if it did.

        Parameters
        ----------
        step
            How many steps are done; None if no state has been kept after so many.
        capture
            Returns the state, whose tensors may be the live ones.
        moment
            Where in the run this is.

        Raises
        ------
        ResourceError
            If the state is the first of all, and cannot be written.
        """
        shared = self._shared
        if shared is None or shared.closed:
            return None
        folder, failed = self._folder(shared), None
        if step is not None and step == self._saved:
            pass
        elif moment is Moment.START:
            if shared.eager:
                began = time.monotonic()
                folder.write(capture())
                shared.pace.took(time.monotonic() - began)
                self._saved = step
        elif self._is_to_be_written(shared, moment, capture):
            failed = shared.write(folder, capture, planned=bool(self._name))
            self._saved = self._saved if failed else step
        elif moment is Moment.END and not shared.eager:
            shared.unwritten.append((folder, _cloned(capture())))
        if moment is Moment.STOPPED:
            shared.closed = True
        elif moment is Moment.END:
            self._look()
        return failed

    @staticmethod
    def _is_to_be_written(shared: _Shared, moment: Moment, capture: Callable[[], TrainingState]) -> bool:
        def size() -> int:
            return capture().bytes

        if moment is Moment.STOPPED:
            return True
        if moment is Moment.END and shared.eager:
            # Without it a run that has ended would go on from an earlier state, and end with the same bits.
            return shared.pace.is_short or shared.pace.affords(size)
        return shared.pace.is_due(size)

    def stops(self) -> bool:
        """Return whether the fit is to stop."""
        return self._shared is not None and self._shared.should_stop()

    @property
    def extended(self) -> bool:
        """Whether the fit was given more time than before."""
        return self._shared is not None and self._shared.extended

    def limit(self, seconds: float) -> None:
        """Note how long the fit may take; if longer than before, what depended on it is decided again."""
        shared = self._shared
        if shared is None:
            return
        known = shared.decisions.get(_LIMIT)
        if known is not None and seconds > known:
            kept = {name: value for name, value in shared.decisions.items() if name.endswith(_LASTING)}
            shared.decisions, shared.extended = kept, True
        shared.decisions[_LIMIT] = seconds

    def _look(self) -> None:
        """Keep nothing more once the fit is to stop: what follows is made of unfinished runs."""
        shared = self._shared
        if shared is not None and not shared.closed and shared.should_stop():
            shared.close()

    def _folder(self, shared: _Shared) -> StateFolder:
        return StateFolder(shared.path / self._name if self._name else shared.path)


def seconds_of(path: Path) -> float:
    """Return how long a fit has taken so far, as its journal says."""
    state = StateFolder(path / _PLAN).last()
    if state is None:
        return 0.0
    checked_values(PlanValues, state.values, "the plan of a fit")
    return float(state.values["seconds"])


def _cloned(state: TrainingState) -> TrainingState:
    return replace(state, tensors={name: t.detach().clone() for name, t in state.tensors.items()})


def _compare(now: Mapping[str, Any], begun: Mapping[str, Any], file: object) -> None:
    fix = "resume it with what it was begun with, or begin another fit"
    for name, value in now["arguments"].items():
        if begun["arguments"].get(name) != value:
            raise UsageError(
                f"{name} is {value!r}, and the fit was begun with {begun['arguments'].get(name)!r}", fix=fix
            )
    columns, known = now.get("columns", {}), begun.get("columns", {})
    if list(columns) != list(known):
        other = next((name for name in [*columns, *known] if (name in columns) != (name in known)), None)
        what = "other columns, or another order of them," if other is None else f"the column {other!r}"
        where = "only when the fit was begun" if other is not None and other not in columns else "only now"
        message = f"the data have {what} {where}" if other is not None else f"the data have {what} now"
        raise DataError(message, file=file, fix=fix)
    for name, value in now["data"].items():
        if begun["data"].get(name) != value:
            was = begun["data"].get(name)
            shown = f"{name} {value}, and the fit was begun with {was}"
            raise DataError(f"the data have changed: {shown}", file=file, fix=fix)
    for name, value in columns.items():
        if known[name] != value:
            message = "the cells of the column have changed since the fit was begun"
            raise DataError(message, file=file, column=name, fix=fix)


def journal_of(
    checkpoint: Any,
    resume: Any,
    every: float,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    eager: bool = True,
) -> Journal:
    """Return the journal that the arguments of a fit ask for; one that keeps nothing, if they are None.

    Parameters
    ----------
    checkpoint, resume, every
        As in `logpx.training.fit`; `checkpoint` may also be a part of a journal.
    should_stop
        Whether the fit is to stop.
    eager
        Whether the first and last state of a run are written at once.

    Raises
    ------
    UsageError
        If they do not go together, there is nothing to resume, or a new run would replace another one.
    """
    if isinstance(checkpoint, Journal):
        return checkpoint
    if not every > 0.0:
        raise UsageError(f"every is {every}, where a positive number was expected", fix="raise every")
    if checkpoint is None and resume is None:
        return Journal()
    if checkpoint is not None and resume is not None and Path(checkpoint) != Path(resume):
        raise UsageError(
            "checkpoint and resume are two folders", fix="give the same one: the run goes on where it was"
        )
    path = Path(os.path.abspath(checkpoint if resume is None else resume))
    begun = any(path.glob("step-*")) or any(path.glob("*/step-*"))
    if resume is None and begun:
        raise UsageError(
            "the folder holds the checkpoints of another run",
            file=path,
            fix="go on with resume=, or choose another folder",
        )
    if checkpoint is None and not begun:
        raise UsageError(
            "there is no checkpoint to resume from",
            file=path,
            fix="correct the folder; checkpoint= and resume= together also start a new run",
        )
    pace = Pace(every, at_once=eager)
    return Journal(
        _Shared(path=path, pace=pace, eager=eager, resume=resume is not None, should_stop=should_stop)
    )
