"""Work on parts of the rows at once: one part for each of torch's threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["for_parts"]

_Result = TypeVar("_Result")


class _Workers:
    """Threads in each of which an operator of torch has one thread; made when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._count = 0

    def pool(self, count: int) -> ThreadPoolExecutor:
        """Return as many threads as asked for."""
        with self._lock:
            if self._pool is None or self._count < count:
                # Whoever still uses a smaller pool keeps it; its threads end with it.
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="logpx-rows")
                self._count = count
                ready = threading.Barrier(count + 1)
                for _ in range(count):
                    self._pool.submit(_use_one_thread, ready)
                ready.wait()
                # The number of threads is that of the calling thread, but also that of threads to come.
                torch.set_num_threads(torch.get_num_threads())
            return self._pool


def _use_one_thread(ready: threading.Barrier) -> None:
    # Asking first, because the first use of torch in a thread sets the number.
    torch.get_num_threads()
    torch.set_num_threads(1)
    ready.wait()


_workers = _Workers()


def _forget() -> None:
    # Threads do not survive a fork.
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def for_parts(work: Callable[[slice], _Result], x: Tensor, least: int) -> list[_Result]:
    """Return what work gives for each of several parts of rows, done at once and without gradients.

    Operators on few rows leave all threads but one idle; parts of their own do not. On devices other than the
    CPU, with one thread, or with few rows there is one part.

    Parameters
    ----------
    work
        Called with which rows.
    x
        The rows.
    least
        The least number of rows of a part.

    Examples
    --------
    >>> x = torch.arange(10.0)
    >>> sum(for_parts(lambda part: x[part].sum().item(), x, least=2))
    45.0
    """
    count = min(torch.get_num_threads(), len(x) // max(least, 1)) if x.device.type == "cpu" else 1
    if count < 2:
        return [work(slice(0, len(x)))]
    edges = [len(x) * part // count for part in range(count + 1)]
    parts = [slice(start, end) for start, end in pairwise(edges)]
    pool = _workers.pool(count)
    futures = [pool.submit(torch.no_grad()(work), part) for part in parts]
    # Nothing of what the parts share may change before all are done.
    wait(futures)
    return [future.result() for future in futures]
