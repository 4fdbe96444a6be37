"""The connection between one leading process and the others."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from logpx.errors import ResourceError, UsageError
from logpx.processes.launch import Launch
from logpx.processes.watch import watched

__all__ = ["Link", "ProcessLost", "linked"]

_TO_MEET = timedelta(minutes=5)
# A process waits as long as the leader needs for what only it can do. Those that die are noticed at once, and
# those that hang are noticed by the watch.
_FOR_EVER = timedelta(days=365)


class ProcessLost(BaseException):
    """Another process has ended, so that nothing can be computed any more.

    No `Exception`, as it must not be taken for the failure of one model among several.

    Parameters
    ----------
    place
        The process that ended.
    """

    def __init__(self, place: Launch) -> None:
        super().__init__(place)
        self.place = place

    def error(self) -> ResourceError:
        """Return the error that a user sees."""
        return ResourceError(
            f"{self.place} of this fit has ended",
            fix="look for what it printed and for lack of memory, and go on with the fit from its checkpoint",
        )


class Link:
    """Messages between the leader and the others.

    Parameters
    ----------
    place
        The place of this process.
    group
        The group of processes.
    """

    def __init__(self, place: Launch, group: dist.ProcessGroup) -> None:
        self.place, self._group = place, group

    def send(self, rank: int, content: Tensor) -> None:
        """Send bytes to a process.

        Raises
        ------
        ProcessLost
            If it has ended.
        """
        with self._alive(rank):
            for part in (torch.tensor([len(content)]), content):
                dist.send(part, group=self._group, group_dst=rank)

    def receive(self, rank: int) -> Tensor:
        """Wait for bytes from a process.

        Raises
        ------
        ProcessLost
            If it has ended.
        """
        length = torch.zeros(1, dtype=torch.int64)
        with self._alive(rank):
            dist.recv(length, group=self._group, group_src=rank)
            content = torch.empty(int(length), dtype=torch.uint8)
            dist.recv(content, group=self._group, group_src=rank)
        return content

    @contextmanager
    def _alive(self, rank: int) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise ProcessLost(Launch(rank, self.place.size)) from error


@contextmanager
def linked(place: Launch) -> Iterator[Link]:
    """Connect this process with the others, in the process group that there is or in one made for it.

    Raises
    ------
    UsageError
        If the launcher does not say where the processes meet.
    ResourceError
        If they do not meet.
    """
    if not dist.is_available():
        raise UsageError("this torch was built without torch.distributed", fix="run one process")
    if not dist.is_initialized() and ("MASTER_ADDR" not in os.environ or "MASTER_PORT" not in os.environ):
        raise UsageError(
            f"this is {place} of one launcher, which does not say where they meet (MASTER_ADDR, MASTER_PORT)",
            fix="start them with torchrun, or unset RANK and WORLD_SIZE for a fit in one process",
        )
    # Watched from the start: one that dies while they meet would otherwise be waited for.
    with watched(place, _TO_MEET):
        try:
            group = _group(place)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ResourceError(
                f"{place} did not meet the others: {reason}",
                fix="look at what they printed, and start all again",
            ) from error
        yield Link(place, group)


@functools.cache
def _group(place: Launch) -> dist.ProcessGroup:
    """Return the group of all processes, in which they meet once: later fits begin when each comes to it."""
    if not dist.is_initialized():
        _meet(place)
    group: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=_FOR_EVER)
    return group


def _meet(place: Launch) -> None:
    store, rank, size = next(dist.rendezvous("env://", timeout=_TO_MEET))  # type: ignore[attr-defined]
    # A launcher may keep the store when it starts all processes again, with what those before wrote to it.
    own = dist.PrefixStore(f"logpx/{place.restarts}", store)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=own, rank=rank, world_size=size, timeout=_TO_MEET)
