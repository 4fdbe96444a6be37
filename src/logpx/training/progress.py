"""Showing progress: a bar on a terminal, plain lines elsewhere, or the caller's own function."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

__all__ = ["Bar", "Call", "Display", "Lines", "Reporter", "reporter_for"]


@dataclass(frozen=True)
class Display:
    """How a fit that is part of something larger is shown: by a name, in the units that its result will have.

    Attributes
    ----------
    progress
        As of `reporter_for`. A function is called with records as they are.
    name
        What is being fitted.
    words
        From a record to what is shown of it.
    """

    progress: bool | Callable[[Any], object] | None
    name: str
    words: Callable[[Any], str] = str


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
    name
        What the lines begin with; nothing if it is empty.
    words
        From a record to what is shown of it.
    """

    def __init__(self, interval: float = 5.0, name: str = "", words: Callable[[Any], str] = str) -> None:
        self._interval, self._words = interval, words
        self._start = f"{name}: " if name else ""
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
            print(self._start + self._words(self._waiting), file=sys.stderr, flush=True)
            self._waiting = None


class Bar(Reporter):
    """A bar on the terminal with the current likelihoods.

    Parameters
    ----------
    name
        What stands before the bar.
    words
        From a record to what is shown of it.
    """

    _PARTS, _WIDTH = 1000, 20

    def __init__(self, name: str = "fitting", words: Callable[[Any], str] = str) -> None:
        self._words = words
        # Rich draws from Python's generator, also when it is imported.
        state = random.getstate()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.table import Column

        self._progress = Progress(
            TextColumn(name, markup=False, table_column=Column(min_width=min(len(name), 24), no_wrap=True)),
            BarColumn(self._WIDTH),
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
        self._progress.update(self._task, description=self._words(record))


def reporter_for(
    progress: bool | Callable[[Any], object] | Display | None, name: str = "fitting"
) -> Reporter:
    """Return the reporter that the argument `progress` of `fit` asks for.

    Parameters
    ----------
    progress
        None: a bar if stderr is a terminal. True: a bar there, lines elsewhere. False: nothing. A function:
        called with every record. Or any of these with a name and units of its own.
    name
        What is being fitted, unless the progress knows.
    """
    words: Callable[[Any], str] = str
    if isinstance(progress, Display):
        name, words = progress.name, progress.words
        progress = progress.progress
    if callable(progress):
        return Call(progress)
    on_terminal = sys.stderr.isatty()
    if progress is False or (progress is None and not on_terminal):
        return Reporter()
    return Bar(name, words) if on_terminal else Lines(name=name, words=words)
