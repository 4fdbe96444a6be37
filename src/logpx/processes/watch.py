"""A watch over the other processes: one that hangs, or whose machine is gone, ends all."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch.distributed as dist

from logpx.errors import ResourceError
from logpx.processes.launch import Launch

__all__ = ["watched"]

_SECONDS_BETWEEN, _MOST_SILENT = 1.0, 20.0
# A machine that slept for an hour, or this process, has not listened for an hour.
_LONGEST_LOOK = 4.0
# Of this process so far; the others have as many.
_FITS = itertools.count()


@contextmanager
def watched(place: Launch, to_meet: timedelta) -> Iterator[None]:
    """Tell the others that this process lives, and end it if one of them has been silent for 20 s.

    The processes write to the store at which they meet; where a group was made without one, nobody watches.

    Parameters
    ----------
    place
        The place of this process.
    to_meet
        How long the store may take to be there.
    """
    address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT", "")
    if address is None or not port.isdecimal():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(place, address, int(port), to_meet, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5.0)


def _watch(place: Launch, address: str, port: int, to_meet: timedelta, ended: threading.Event) -> None:
    try:
        meeting = dist.TCPStore(  # type: ignore[attr-defined]
            address, port, is_master=False, wait_for_workers=False, timeout=to_meet
        )
        store = dist.PrefixStore(f"logpx/watch/{place.restarts}/{next(_FITS)}", meeting)  # type: ignore[attr-defined]
        silent, heard, last = [0.0] * place.size, [0] * place.size, time.monotonic()
        while not ended.wait(_SECONDS_BETWEEN):
            store.add(str(place.rank), 1)
            spent, last = min(time.monotonic() - last, _LONGEST_LOOK), time.monotonic()
            for rank in range(place.size):
                now = store.add(str(rank), 0)
                # One that has not begun yet is not silent.
                silent[rank] = silent[rank] + spent if now and now == heard[rank] else 0.0
                heard[rank] = now
                if silent[rank] > _MOST_SILENT:
                    _end(place, f"{Launch(rank, place.size)} has said nothing for {_MOST_SILENT:.0f} s")
    except RuntimeError as error:
        # The store closes with the process that keeps it, after the end of a fit or before.
        if not ended.wait(3.0 * _SECONDS_BETWEEN):
            reason = str(error).splitlines()[0]
            _end(place, f"the place where the processes met is gone ({reason})")


def _end(place: Launch, why: str) -> None:
    """End this process, whose main thread may wait for ever."""
    error = ResourceError(why, fix="go on with the fit from its checkpoint")
    print(f"error: {place}: {error}", file=sys.stderr, flush=True)
    os._exit(ResourceError.exit_code)
