"""Rows drawn in blocks, so that row i depends only on the seed and i."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import derived_seed

__all__ = ["sample_blocks"]


def sample_blocks(
    distribution: Distribution, n: int, rows: int, context: Tensor | None = None, *, seed: int | None = None
) -> Iterator[Tensor]:
    """Draw from a distribution with memory for one block at a time.

    With a seed, blocks are always drawn whole, because arithmetic on fewer rows would round differently.

    Parameters
    ----------
    distribution
        The distribution.
    n
        How many rows.
    rows
        How many rows are in a block.
    context
        Shape ``(n, context_features)`` or ``(context_features,)``.
    seed
        None for the generator of the enclosing `private_randomness`, or else torch's global one.

    Yields
    ------
    Tensor
        The draws of each block, shape ``(rows, *event_shape)``, fewer in the last.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> few, many = (torch.cat(list(sample_blocks(StandardNormal(2), n, 64, seed=1))) for n in (70, 100))
    >>> torch.equal(many[:70], few)
    True
    """
    for block, start in enumerate(range(0, n, rows)):
        part, size = context, min(rows, n - start) if seed is None else rows
        if context is not None and context.dim() > 1:
            # The last context fills the block.
            chosen = torch.arange(start, start + size).clamp_max(n - 1).to(context.device)
            part = context.index_select(0, chosen)
        own = None if seed is None else derived_seed(seed, block)
        yield distribution.sample(size, part, own)[: n - start]
