"""Rows to train on: batches, and the order in which rows in memory are visited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions.seeding import generator_of

__all__ = ["Batch", "MemoryRows", "Rows", "epoch_generator"]


@dataclass(frozen=True)
class Batch:
    """Some rows, already in the model's dtype.

    Parameters
    ----------
    x
        Shape ``(n, *event_shape)``.
    rows
        The rows' indices in the data, counted from 0; shape ``(n,)``.
    context
        Shape ``(n, context_features)``, or None.
    weights
        Shape ``(n,)``, or None for 1 each.
    """

    x: Tensor
    rows: Tensor
    context: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> Batch:
        """Return the rows at the given positions, in that order."""
        return self._each(lambda t: t.index_select(0, index))

    def slice(self, start: int, stop: int) -> Batch:
        """Return the rows from start up to stop, without a copy."""
        return self._each(lambda t: t[start:stop])

    def where(self, keep: Tensor) -> Batch:
        """Return the rows at which a boolean mask of shape ``(n,)`` is true, in order."""
        return self if bool(keep.all()) else self.take(keep.nonzero().flatten())

    def to(self, device: torch.device) -> Batch:
        """Return the rows on a device."""
        return self._each(lambda t: t.to(device))

    def double(self) -> Batch:
        """Return the rows in double precision."""
        return self._each(lambda t: t.double() if t.is_floating_point() else t)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        context = None if self.context is None else change(self.context)
        weights = None if self.weights is None else change(self.weights)
        return Batch(change(self.x), change(self.rows), context, weights)

    @staticmethod
    def concatenate(parts: Sequence[Batch]) -> Batch:
        """Return the rows of all parts, one after another; all parts must have the same fields."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        return Batch(
            torch.cat([part.x for part in parts]),
            torch.cat([part.rows for part in parts]),
            None if first.context is None else torch.cat([p.context for p in parts if p.context is not None]),
            None if first.weights is None else torch.cat([p.weights for p in parts if p.weights is not None]),
        )


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Return a generator that depends only on seed and epoch, and leaves torch's global one alone.

    Examples
    --------
    >>> orders = [torch.randperm(5, generator=epoch_generator(0, 3)).tolist() for _ in range(2)]
    >>> orders[0] == orders[1]
    True
    """
    return generator_of(seed, abs(epoch), int(epoch < 0))


class Rows(ABC):
    """Rows that can be visited repeatedly: shuffled for training, or in order.

    Attributes
    ----------
    count : int
        The number of rows.
    resident : bool
        Whether the rows are in memory, so that another visit needs no reading.
    """

    count: int
    resident: bool

    @abstractmethod
    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield batches of one epoch, in an order that depends only on seed and epoch.

        Each has `size` rows, or all rows if there are fewer; an incomplete batch at the end is dropped.
        """

    @abstractmethod
    def blocks(self, size: int) -> Iterator[Batch]:
        """Yield all rows in order, in batches of at most `size` rows."""


class MemoryRows(Rows):
    """Rows in memory, on the device where they are used.

    Parameters
    ----------
    batch
        All rows.

    Examples
    --------
    >>> rows = MemoryRows(Batch(torch.arange(6.0).view(6, 1), torch.arange(6)))
    >>> [len(batch) for batch in rows.shuffled(4, seed=0, epoch=0)]
    [4]
    >>> [len(batch) for batch in rows.blocks(4)]
    [4, 2]
    """

    resident = True

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.count = len(batch)

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield batches in the order of a random permutation of all rows."""
        size = min(size, self.count)
        order = torch.randperm(self.count, generator=epoch_generator(seed, epoch)).to(self.batch.x.device)
        for start in range(0, self.count - size + 1, size):
            yield self.batch.take(order[start : start + size])

    def blocks(self, size: int) -> Iterator[Batch]:
        """Yield slices without copying."""
        for start in range(0, self.count, size):
            yield self.batch.slice(start, start + size)
