"""SIGINT and SIGTERM: at once, or in an orderly way with a second signal as the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from logpx.cli.streams import tell

__all__ = ["Interrupted", "Stop", "raise_on_termination", "stop_on_signal"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# How long an end, orderly or at once, may take before it is asked for again.
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


class Stop:
    """Whether a signal has asked for an end.

    Parameters
    ----------
    orderly
        Whether the first signal is only noted, for work that can come to an end by itself.

    Attributes
    ----------
    exit_code : int or None
        The exit status that the first signal asks for; None before one came.
    """

    def __init__(self, orderly: bool) -> None:
        self.exit_code: int | None = None
        self._patience = 1 if orderly else 0
        self._timer: threading.Timer | None = None

    def requested(self) -> bool:
        """Return whether work should come to its end."""
        return self.exit_code is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note a signal, or raise `Interrupted`.

        Either way the signal is sent again after some seconds: work may not come to its end, and an exception
        that is raised within a callback or a destructor is lost.
        """
        if self.exit_code is None:
            self.exit_code = 128 + number
        self.cancel()
        self._timer = threading.Timer(_GRACE_SECONDS, _send_to_main_thread, (number,))
        self._timer.daemon = True
        self._timer.start()
        if not self._patience:
            raise Interrupted(self.exit_code - 128)
        self._patience -= 1
        tell("stopping; interrupt again to stop at once")

    def cancel(self) -> None:
        """Let the end take its time from here."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def raise_on_termination() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into `Interrupted`, so that what was begun is undone on the way out."""
    with _handled_by(Stop(orderly=False)):
        yield


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Let the first SIGINT or SIGTERM be a request, and the second an end."""
    with _handled_by(Stop(orderly=True)) as stop:
        yield stop


@contextmanager
def _handled_by(stop: Stop) -> Iterator[Stop]:
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        stop.cancel()
        for number, old in before.items():
            signal.signal(number, old)


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        # Only this wakes the main thread up where it waits for the system.
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
