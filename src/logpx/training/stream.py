"""Rows that are read again in every epoch, so that data may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from logpx.errors import DataError
from logpx.training.batches import Batch, Rows, epoch_generator
from logpx.wording import counted

__all__ = ["StreamRows"]

_BUFFER_BYTES = 128 * 2**20


class StreamRows(Rows):
    """Rows of a source that yields the same batches every time it is read.

    Rows are shuffled in a buffer: once it is full, a random half of it is used before it is refilled. If all
    rows fit into the buffer, the order is exactly that of `MemoryRows`. Otherwise neighbours in the source
    stay roughly together, so a source sorted by some column should first be shuffled on disk.

    Parameters
    ----------
    read
        Returns a fresh iterator over the batches.
    count
        The number of rows of one reading.
    device
        Where batches are wanted.
    buffer_rows
        The size of the shuffle buffer; 128 MiB of rows if None.

    Examples
    --------
    >>> parts = [Batch(torch.full((3, 1), float(k)), torch.arange(3 * k, 3 * k + 3)) for k in range(2)]
    >>> rows = StreamRows(lambda: iter(parts), 6)
    >>> [batch.rows.tolist() for batch in rows.blocks(4)]
    [[0, 1, 2], [3, 4, 5]]
    >>> sorted(torch.cat([batch.rows for batch in rows.shuffled(3, seed=0, epoch=0)]).tolist())
    [0, 1, 2, 3, 4, 5]
    """

    resident = False

    def __init__(
        self,
        read: Callable[[], Iterator[Batch]],
        count: int,
        device: torch.device | None = None,
        buffer_rows: int | None = None,
    ) -> None:
        self._read = read
        self.count = count
        self._device = device or torch.device("cpu")
        self._buffer_rows = buffer_rows

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield batches drawn from the shuffle buffer.

        Raises
        ------
        DataError
            If the number of rows in the source has changed.
        """
        size = min(size, self.count)
        generator = epoch_generator(seed, epoch)
        source, seen = self._read(), 0
        pool: list[Batch] = []
        waiting = 0
        for part in source:
            seen += len(part)
            waiting += len(part)
            pool.append(part)
            if waiting >= max(self._buffer_size(part), 2 * size) and seen < self.count:
                buffer = Batch.concatenate(pool)
                order = torch.randperm(waiting, generator=generator)
                used = waiting // 2 // size * size
                yield from self._cut(buffer, order[:used], size)
                pool, waiting = [buffer.take(order[used:])], waiting - used
        self._check(seen)
        order = torch.randperm(waiting, generator=generator)
        yield from self._cut(Batch.concatenate(pool), order, size)

    def blocks(self, size: int) -> Iterator[Batch]:
        """Yield the batches as the source gives them, cut where they are longer than `size`."""
        seen = 0
        for part in self._read():
            seen += len(part)
            for start in range(0, len(part), size):
                yield part.slice(start, start + size).to(self._device)
        self._check(seen)

    def _cut(self, buffer: Batch, order: torch.Tensor, size: int) -> Iterator[Batch]:
        for start in range(0, len(order) - size + 1, size):
            yield buffer.take(order[start : start + size]).to(self._device)

    def _buffer_size(self, part: Batch) -> int:
        if self._buffer_rows is not None:
            return self._buffer_rows
        return max(1, _BUFFER_BYTES // max(1, part.x[:1].nbytes))

    def _check(self, seen: int) -> None:
        if seen != self.count:
            raise DataError(
                f"the source gave {counted(self.count, 'row')} at first, and {seen} now",
                fix="pass an object that yields the same rows every time it is iterated over",
            )
