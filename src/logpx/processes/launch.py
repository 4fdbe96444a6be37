"""Whether this process is one of several that a launcher started; asked before torch is loaded."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from logpx.errors import UsageError

__all__ = ["Launch", "launch"]


@dataclass(frozen=True)
class Launch:
    """The place of this process among those of a launcher.

    Parameters
    ----------
    rank
        Its number, from 0.
    size
        How many there are.
    restarts
        How often the launcher has started all of them again.
    """

    rank: int
    size: int
    restarts: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process leads the others."""
        return self.rank == 0

    def __str__(self) -> str:
        return f"process {self.rank} of {self.size}"


def launch() -> Launch | None:
    """Return this process's place, or None if it is alone.

    The place is that in the process group of `torch.distributed`, if there is one already, or else what the
    launcher says in ``RANK`` and ``WORLD_SIZE``, as torchrun does.

    Raises
    ------
    UsageError
        If what the launcher says makes no sense.
    """
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    else:
        if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
            return None
        given = os.environ["RANK"], os.environ["WORLD_SIZE"]
        if not (given[0].isdecimal() and given[1].isdecimal() and int(given[0]) < int(given[1])):
            raise UsageError(
                f"RANK is {given[0]!r} and WORLD_SIZE {given[1]!r}, where a rank below a size was expected",
                fix="start the processes with torchrun, or unset both variables",
            )
        rank, size = int(given[0]), int(given[1])
    if size == 1:
        return None
    return Launch(rank, size, int(restarts) if restarts.isdecimal() else 0)
