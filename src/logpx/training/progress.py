"""Showing progress: a bar on a terminal, plain lines elsewhere, or the caller's own function."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

__all__ = ["Bar", "Call", "Lines", "Reporter", "reporter_for"]


class Reporter:
    """Receives the progress of training and each record, and shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def advance(self, fraction: float) -> None:
        """Receive the used fraction of the budget, from 0 to 1; called after every step."""

    def record(self, record: object) -> None:
        """Receive a record."""


class Call(Reporter):
    """Passes each record to a function.

    Parameters
    ----------
    function
        Called with each record: for a fit, a `HistoryRecord`.
    """

    def __init__(self, function: Callable[[Any], object]) -> None:
        self._function = function

    def record(self, record: object) -> None:
        """Call the function."""
        self._function(record)


class Lines(Reporter):
    """Prints records to stderr, at most one per interval.

    Parameters
    ----------
    interval
        Seconds between lines.
    """

    def __init__(self, interval: float = 5.0) -> None:
        self._interval = interval
        self._last = -float("inf")
        self._waiting: object | None = None

    def record(self, record: object) -> None:
        """Print the record if the last line is old enough."""
        now = time.monotonic()
        self._waiting = record
        if now - self._last >= self._interval:
            self._print()
            self._last = now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Print the last record, if it is still waiting."""
        self._print()

    def _print(self) -> None:
        if self._waiting is not None:
            print(self._waiting, file=sys.stderr, flush=True)
            self._waiting = None


class Bar(Reporter):
    """A bar on the terminal with the current likelihoods."""

    _PARTS = 1000

    def __init__(self) -> None:
        # Rich draws from Python's generator, also when it is imported.
        state = random.getstate()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("fitting"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=self._PARTS)
        self._shown = 0
        random.setstate(state)

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._progress.stop()

    def advance(self, fraction: float) -> None:
        """Move the bar if the move would be visible."""
        part = int(fraction * self._PARTS)
        if part != self._shown:
            self._shown = part
            self._progress.update(self._task, completed=part)

    def record(self, record: object) -> None:
        """Show the record beside the bar."""
        self._progress.update(self._task, description=str(record))


def reporter_for(progress: bool | Callable[[Any], object] | None) -> Reporter:
    """Return the reporter that the argument `progress` of `fit` asks for.

    Parameters
    ----------
    progress
        None: a bar if stderr is a terminal. True: a bar there, lines elsewhere. False: nothing. A function:
        called with every record.
    """
    if callable(progress):
        return Call(progress)
    on_terminal = sys.stderr.isatty()
    if progress is False or (progress is None and not on_terminal):
        return Reporter()
    return Bar() if on_terminal else Lines()
