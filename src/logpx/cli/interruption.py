"""SIGINT, SIGTERM, SIGHUP and SIGQUIT: stop at once, or in an orderly way and at once on a second signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from logpx.cli.streams import tell

__all__ = ["SIGNALS", "Interrupted", "Stop", "raise_on_termination", "stop_on_signal"]

# A closed terminal or connection sends SIGHUP. Windows has neither SIGHUP nor SIGQUIT.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

# How long stopping may take, orderly or not, before the signal is sent again.
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
    """A record of whether a signal has asked the work to stop.

    Parameters
    ----------
    orderly
        Whether the first signal is only recorded, for work that can stop by itself.

    Attributes
    ----------
    exit_code : int or None
        The exit status for the first signal; None before there is one.
    """

    def __init__(self, orderly: bool) -> None:
        self.exit_code: int | None = None
        self._patience = 1 if orderly else 0
        self._timer: threading.Timer | None = None

    def requested(self) -> bool:
        """Return whether the work should stop."""
        return self.exit_code is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record a signal, or raise `Interrupted`.

        Either way the signal is sent again after a few seconds: the work may not stop, and an exception
        raised within a callback or a destructor is lost.
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
        """Send no signal again: from here, stopping may take its time."""
        if self._timer is not None:
            self._timer.cancel()


def _is_ignored(number: int) -> bool:
    # nohup starts a process that does not hear SIGHUP; what a shell ignores in the background is heard.
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def raise_on_termination() -> Iterator[None]:
    """Turn signals that end a process into `Interrupted`, so that what was begun is undone on the way out."""
    with _handled_by(Stop(orderly=False)):
        yield


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Take the first signal that ends a process as a request to stop, and stop at once on the second."""
    with _handled_by(Stop(orderly=True)) as stop:
        yield stop


@contextmanager
def _handled_by(stop: Stop) -> Iterator[Stop]:
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard = [number for number in SIGNALS if not _is_ignored(number)]
    before = {number: signal.signal(number, stop.handle) for number in heard}
    try:
        yield stop
    finally:
        stop.cancel()
        for number, old in before.items():
            signal.signal(number, old)


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        # Only this wakes the main thread from a blocking system call.
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
