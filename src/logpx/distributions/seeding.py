"""Random rows of which each depends only on the seed and its own number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["BLOCK_ROWS", "draw_rows"]

BLOCK_ROWS = 4096


def _generator(seed: int, block: int) -> torch.Generator:
    key = np.random.SeedSequence(entropy=abs(seed), spawn_key=(int(seed < 0), block)).generate_state(
        1, np.uint64
    )
    return torch.Generator().manual_seed(int(key[0]) >> 1)


def draw_rows(
    n: int,
    seed: int | None,
    like: Tensor,
    draw: Callable[[int, torch.Generator | None, torch.device], Tensor],
) -> Tensor:
    """Draw n rows; with a seed, in blocks of 4096 whose generators are keyed by (seed, block).

    Parameters
    ----------
    n
        The number of rows.
    seed
        None for torch's global generator.
    like
        Gives the device of the result.
    draw
        Called as ``draw(rows, generator, device)``; returns that many rows.

    Examples
    --------
    >>> normal = lambda rows, generator, device: torch.randn(rows, 1, generator=generator, device=device)
    >>> short, long = (draw_rows(n, 0, torch.empty(0), normal) for n in (3, 5000))
    >>> bool((short == long[:3]).all())
    True
    """
    if seed is None:
        return draw(n, None, like.device)
    # On the CPU whatever the device, so that a seed means the same rows everywhere.
    cpu = torch.device("cpu")
    blocks = [draw(BLOCK_ROWS, _generator(seed, block), cpu) for block in range(-(-n // BLOCK_ROWS))]
    return torch.cat(blocks)[:n].to(like.device) if blocks else draw(0, None, like.device)
