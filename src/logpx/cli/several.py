"""A fit as one of several processes of a launcher such as torchrun."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from logpx.cli.interruption import SIGNALS
from logpx.processes.launch import Launch

__all__ = ["by_all"]


def by_all(place: Launch | None, work: Callable[[], int]) -> int:
    """Do work in this process if it is alone or the first of several; the others help it.

    Parameters
    ----------
    place
        The place of this process, or None if it is alone.
    work
        Returns the exit status.
    """
    if place is None:
        return work()
    # Before torch is loaded: it would print a stack for each connection that another process has closed.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from logpx.storage.together import lead_or_help

    if not place.leads and threading.current_thread() is threading.main_thread():
        # The first process decides when to stop, and still needs the others to finish its step.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    return lead_or_help(place, work) or 0
