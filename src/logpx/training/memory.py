"""As many rows at once as memory holds: where it is not enough, half as many, and the same step again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch

from logpx.distributions.private_randomness import current_generator
from logpx.errors import ResourceError, is_out_of_memory
from logpx.wording import counted

__all__ = ["RowsAtOnce"]

Answer = TypeVar("Answer")


class RowsAtOnce:
    """How many rows are worked on at once, halved whenever memory does not suffice.

    Parameters
    ----------
    count
        At first.
    devices
        Whose random generators are turned back before work is done again.
    note
        Called with a sentence when the number is halved.

    Examples
    --------
    >>> rows = RowsAtOnce(64, [torch.device("cpu")], print)
    >>> def work(count):
    ...     if count > 20:
    ...         raise MemoryError
    ...     return count
    >>> rows.enough_for(work, 64)
    out of memory with 64 rows at once: from now on 32 at once
    out of memory with 32 rows at once: from now on 16 at once
    16
    """

    def __init__(self, count: int, devices: Iterable[torch.device], note: Callable[[str], object]) -> None:
        self.count = count
        self._devices, self._note = list(devices), note

    def enough_for(self, work: Callable[[int], Answer], rows: int) -> Answer:
        """Return what work answers that is given a number of rows to take at once.

        Parameters
        ----------
        work
            Done again from its start with half the number if memory does not suffice.
        rows
            How many rows there are.

        Raises
        ------
        ResourceError
            If a single row is too much.
        """
        generators = [(current_generator(device), device) for device in self._devices]
        states = [(generator, generator.get_state()) for generator, _ in generators if generator is not None]
        while True:
            try:
                return work(self.count)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                now = min(self.count, rows)
                if now == 1:
                    raise ResourceError(
                        "out of memory with a single row at once",
                        fix="use a machine or device with more memory, or a smaller model",
                    ) from error
                self.count = now // 2
            self._note(
                f"out of memory with {counted(now, 'row')} at once: from now on {self.count:,} at once"
            )
            for generator, state in states:
                generator.set_state(state)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
