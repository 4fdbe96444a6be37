"""Commands as one of several processes of a launcher such as torchrun."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from logpx.cli.interruption import SIGNALS
from logpx.errors import UsageError
from logpx.processes.launch import Launch, launch

__all__ = ["by_all", "own_shard", "refuse_several"]


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


def refuse_several(command: str) -> None:
    """Raise a `UsageError` if this process is one of several, each of which would do all the work."""
    place = launch()
    if place is not None:
        raise UsageError(
            f"this is {place} of a launcher, and each would do all the work of logpx {command}",
            fix="start it without the launcher; fit and resume divide their work among processes, score and "
            "impute do so part by part (-o scores/)",
        )


def own_shard(shard: tuple[int, int] | None, output: str, *, in_parts: bool) -> tuple[int, int] | None:
    """Return the shard of this process if it is one of several of a launcher; else what is asked for.

    Parameters
    ----------
    shard
        The shard that is asked for.
    output, in_parts
        What is written, and whether that is a folder of parts.

    Raises
    ------
    UsageError
        If the processes cannot divide the work.
    """
    place = launch()
    if place is None:
        return shard
    if shard is not None:
        raise UsageError(
            f"--shard was given, and this is {place} of a launcher, which are shards already",
            fix="leave out --shard, or start each shard without the launcher",
        )
    if not in_parts:
        raise UsageError(
            f"this is {place} of a launcher, and each would write all rows to {output}",
            fix="name a folder, such as -o scores/, of which each process writes its own parts (as with "
            f"--shard 1/{place.size}), or start one process",
        )
    return place.rank + 1, place.size
