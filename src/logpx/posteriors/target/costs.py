"""What a posterior costs: calls of the log-density and seconds, by stage, within a limit of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from logpx.representations import Shown

__all__ = ["Cost", "Costs", "Meter", "TimeIsUpError"]

_SECONDS_BETWEEN_REPORTS = 1.0


class TimeIsUpError(BaseException):
    """A limit of time is over: whoever can stop with what is best so far catches it.

    Not an `Exception`, as little as `KeyboardInterrupt`: who only excuses failures of a user's function must
    not catch it.
    """


@dataclass(frozen=True, kw_only=True, repr=False)
class Cost(Shown):
    """What a stage has cost.

    Attributes
    ----------
    stage : str
        Its name; that of a method includes the diagnosis of its result.
    seconds : float
        How long it took.
    calls : int
        How often the log-density was called, with one point or many.
    points : int
        At how many points it was computed.
    gradients : int
        At how many points its gradient was computed, too.
    """

    stage: str
    seconds: float
    calls: int
    points: int
    gradients: int

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.seconds:.1f} s, log-density at {self.points:,} points in {self.calls:,} calls, gradient "
            f"at {self.gradients:,}"
        )


@dataclass(frozen=True, repr=False)
class Costs(Shown):
    """The costs of all stages in their order, which print as a table.

    Attributes
    ----------
    stages : sequence of Cost
        One for each stage.
    """

    stages: Sequence[Cost]

    @property
    def total(self) -> Cost:
        """All of them together."""
        return Cost(
            stage="total",
            seconds=sum(cost.seconds for cost in self.stages),
            calls=sum(cost.calls for cost in self.stages),
            points=sum(cost.points for cost in self.stages),
            gradients=sum(cost.gradients for cost in self.stages),
        )

    def __getitem__(self, stage: str) -> Cost:
        """Return the cost of a stage."""
        return next(cost for cost in self.stages if cost.stage == stage)

    def __str__(self) -> str:
        """Lay out the table."""
        rows = [*self.stages, self.total]
        width = max(len(row.stage) for row in rows)
        lines = [f"{'':{width}} {'seconds':>9} {'calls':>9} {'points':>12} {'gradients':>12}"]
        lines += [
            f"{row.stage:{width}} {row.seconds:9.2f} {row.calls:9,} {row.points:12,} {row.gradients:12,}"
            for row in rows
        ]
        return "\n".join(lines)


@dataclass(kw_only=True)
class Meter:
    """Counts what a log-density costs, and ends a stage whose time is up.

    Attributes
    ----------
    calls, points, gradients : int
        As in `Cost`, so far.
    stages : list of Cost
        Those that are over.
    until : float
        When time is up, by `time.monotonic`.
    listener : callable or None
        Called about once a second with the cost of the stage so far.

    Examples
    --------
    >>> meter = Meter()
    >>> with meter.stage("search"):
    ...     meter.count(20)
    >>> meter.stages[0].points
    20
    """

    calls: int = 0
    points: int = 0
    gradients: int = 0
    stages: list[Cost] = field(default_factory=list)
    until: float = math.inf
    listener: Callable[[Cost], object] | None = None
    _began: tuple[str, float, int, int, int] | None = None
    _reported: float = 0.0
    _failure: Exception | None = None

    @property
    def costs(self) -> Costs:
        """The costs of the stages so far."""
        return Costs(tuple(self.stages))

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return self.until - time.monotonic()

    def check(self) -> None:
        """Raise `TimeIsUpError` if it is; called before every call of the log-density."""
        if self.left < 0.0 or self._failure is not None:
            raise TimeIsUpError

    def count(self, points: int) -> None:
        """Count a call, and report from time to time."""
        self.calls += 1
        self.points += points
        now = time.monotonic()
        if self.listener is not None and self._began and now - self._reported > _SECONDS_BETWEEN_REPORTS:
            self._reported = now
            try:
                self.listener(self._cost())
            except Exception as failure:
                # It must not pass for a failure of the log-density.
                self._failure = failure
                raise TimeIsUpError from None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Book what follows as a stage."""
        self._began = (name, time.monotonic(), self.calls, self.points, self.gradients)
        try:
            yield
        finally:
            self.stages.append(self._cost())
            self._began = None
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what the listener has raised."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    @contextmanager
    def limited(self, until: float) -> Iterator[None]:
        """Let time be up earlier for a while, or later for whoever ends with what is best so far."""
        before, self.until = self.until, until
        try:
            yield
        finally:
            self.until = before

    def _cost(self) -> Cost:
        assert self._began is not None
        name, began, calls, points, gradients = self._began
        return Cost(
            stage=name,
            seconds=time.monotonic() - began,
            calls=self.calls - calls,
            points=self.points - points,
            gradients=self.gradients - gradients,
        )
