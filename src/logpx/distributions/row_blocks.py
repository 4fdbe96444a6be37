"""Blocks whose random numbers are drawn together, and the place in a block that belongs to a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["RowBlock", "row_blocks"]


class RowBlock(NamedTuple):
    """Rows whose random numbers come from one block.

    Attributes
    ----------
    number : int
        The number of the block.
    rows : Tensor
        Which rows these are, int64.
    slots : Tensor
        The place of each in the block, int64, all different.
    """

    number: int
    rows: Tensor
    slots: Tensor


def row_blocks(n: int, first: int | Tensor, size: int, keyed: int = 1) -> Iterator[RowBlock]:
    """Divide rows into blocks by what identifies them, so that a row's random numbers depend on that alone.

    Parameters
    ----------
    n
        The number of rows.
    first
        The number of the first row, the others following; or a key of every row, shape ``(n,)``, int64. A
        key stands for one of the slots of the first blocks, which rows share: a block is then yielded as
        often as needed, with another row in the slot.
    size
        The slots of a block.
    keyed
        How many blocks keys are spread over.

    Examples
    --------
    >>> [(block.number, block.rows.tolist(), block.slots.tolist()) for block in row_blocks(3, 6, 4)]
    [(1, [0, 1], [2, 3]), (2, [2], [0])]
    >>> keys = torch.tensor([7, 3, 6])
    >>> [(block.number, block.rows.tolist(), block.slots.tolist()) for block in row_blocks(3, keys, 4)]
    [(0, [2, 0], [2, 3]), (0, [1], [3])]
    """
    if isinstance(first, Tensor):
        places = first.cpu() % (size * keyed)
        order = torch.argsort(places, stable=True)
        counts = torch.bincount(places, minlength=size * keyed)
        before = torch.empty_like(places)
        before[order] = torch.arange(n) - (counts.cumsum(0) - counts)[places[order]]
        # Rows of one block that come equally often before.
        layers = places // size * (n + 1) + before
        order = order[torch.argsort(layers[order], stable=True)]
        _, sizes = torch.unique_consecutive(layers[order], return_counts=True)
        for rows in torch.split(order, sizes.tolist()):
            yield RowBlock(int(places[rows[0]]) // size, rows, places[rows] % size)
        return
    for number in range(first // size, -(-(first + n) // size)):
        rows = torch.arange(max(number * size - first, 0), min((number + 1) * size - first, n))
        yield RowBlock(number, rows, (rows + first) % size)
