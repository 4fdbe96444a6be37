"""Pictures drawn in blocks, so that picture i depends only on the seed and i."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import checked_seed

__all__ = ["sample_pictures"]

_BLOCK = 64


def sample_pictures(
    flow: Distribution, n: int, context: Tensor | None = None, seed: int | None = None
) -> Tensor:
    """Draw from a distribution of pictures with memory for 64 at a time.

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
    >>> torch.equal(sample_pictures(normal, 100, seed=1)[:70], sample_pictures(normal, 70, seed=1))
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
    if seed is None:
        return None
    seed = checked_seed(seed)
    state = np.random.SeedSequence([abs(seed), int(seed < 0), block]).generate_state(1, np.uint64)
    return int(state[0]) >> 1
