"""Uniform noise of which an image's share depends only on seed, number and draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions.seeding import generator_of

__all__ = ["Noise"]

_BLOCK = 32


@dataclass(frozen=True)
class Noise:
    """Where the noise of consecutive images comes from.

    Attributes
    ----------
    seed : int or None
        None for torch's global generator, as in training.
    first : int
        The number of images before these.
    draw : int
        Which of several independent draws for the same images.

    Examples
    --------
    >>> like = torch.empty(0)
    >>> whole = Noise(0).uniform(100, (1, 2, 2), like)
    >>> torch.equal(Noise(0, first=40).uniform(20, (1, 2, 2), like), whole[40:60])
    True
    """

    seed: int | None = None
    first: int = 0
    draw: int = 0

    def uniform(self, n: int, event_shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return uniforms in [0, 1), shape ``(n, *event_shape)``, with the dtype and device of `like`."""
        if self.seed is None:
            return torch.rand(n, *event_shape, dtype=like.dtype, device=like.device)
        # On the CPU whatever the device, so that a seed means the same noise everywhere.
        blocks = range(self.first // _BLOCK, -(-(self.first + n) // _BLOCK))
        parts = [
            torch.rand(_BLOCK, *event_shape, dtype=like.dtype, generator=self._generator(block))
            for block in blocks
        ]
        skipped = self.first - blocks.start * _BLOCK
        whole = torch.cat(parts) if parts else torch.empty(0, *event_shape, dtype=like.dtype)
        return whole[skipped : skipped + n].to(like.device)

    def _generator(self, block: int) -> torch.Generator:
        return generator_of(self.seed or 0, block, self.draw)
