"""SIGINT and SIGTERM: at once, or in an orderly way with a second signal as the way out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupted", "Stop", "raise_on_termination", "stop_on_signal"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# How long an orderly stop may take before it becomes one at once.
_GRACE_SECONDS = 4.0


class Interrupted(BaseException):
    """A signal ended the command.

    Parameters
    ----------
    number
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def _raise(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def raise_on_termination() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into `Interrupted`, so that what was begun is undone on the way out."""
    with _handled_by(_raise):
        yield


class Stop:
    """Whether a signal has asked for an end.

    Attributes
    ----------
    exit_code : int or None
        The exit status that the signal asks for; None before one came.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._timer: threading.Timer | None = None

    def requested(self) -> bool:
        """Return whether work should come to its end."""
        return self.exit_code is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note a first signal; raise `Interrupted` on a second one, or when the first has waited too long."""
        if self.exit_code is not None:
            raise Interrupted(self.exit_code - 128)
        self.exit_code = 128 + number
        print("stopping; interrupt again to stop at once", file=sys.stderr)
        self._timer = threading.Timer(_GRACE_SECONDS, _send_to_main_thread, (number,))
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Let the orderly end take its time from here."""
        if self._timer is not None:
            self._timer.cancel()


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        # Only this wakes the main thread up where it waits for the system.
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Let the first SIGINT or SIGTERM be a wish, and the second an end."""
    stop = Stop()
    with _handled_by(stop.handle):
        try:
            yield stop
        finally:
            stop.cancel()


@contextmanager
def _handled_by(handler: object) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
