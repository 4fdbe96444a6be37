"""Images drawn in blocks, so that image i depends only on the seed and i."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import derived_seed

__all__ = ["sample_images"]

_BLOCK = 64


def sample_images(
    flow: Distribution, n: int, context: Tensor | None = None, seed: int | None = None
) -> Tensor:
    """Draw from a distribution of images with memory for 64 at a time.

    Parameters
    ----------
    flow
        The distribution.
    n
        How many.
    context
        Shape ``(n, context_features)`` or ``(context_features,)``.
    seed
        None for torch's global generator.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> normal = StandardNormal((1, 2, 2))
    >>> torch.equal(sample_images(normal, 100, seed=1)[:70], sample_images(normal, 70, seed=1))
    True
    """
    blocks = []
    for start in range(0, n, _BLOCK):
        part = context
        if context is not None and context.dim() > 1:
            # The last context fills the block: arithmetic on fewer rows would round differently.
            rows = torch.arange(start, start + _BLOCK).clamp_max(n - 1).to(context.device)
            part = context.index_select(0, rows)
        blocks.append(flow.sample(_BLOCK, part, _key(seed, start // _BLOCK))[: n - start])
    return torch.cat(blocks) if blocks else flow.sample(0, None if context is None else context[:0])


def _key(seed: int | None, block: int) -> int | None:
    return None if seed is None else derived_seed(seed, block)
