"""Uniform noise: that of a row depends only on the seed, the row's number and the draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from logpx.distributions.private_randomness import current_generator
from logpx.distributions.seeding import BLOCK_ROWS, generator_of
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring.row_keys import keyed_uniforms

__all__ = ["Noise"]

# Numbers in a block of rows, whose noise is drawn at once, even if only some of its rows are needed.
_NUMBERS = 1 << 15


@dataclass(frozen=True, repr=False)
class Noise(Shown):
    """The source of the noise of consecutive rows or images.

    Attributes
    ----------
    seed : int or None
        None for torch's global generator, as in training.
    first : int or Tensor
        The number of rows before these; or a key of each row instead, shape ``(n,)``, int64.
    draw : int
        Which of several independent draws for the same rows, counted from 0.

    Raises
    ------
    UsageError
        If `first` or `draw` is below 0.

    Examples
    --------
    >>> like = torch.empty(0)
    >>> whole = Noise(0).uniform(100, (1, 2, 2), like)
    >>> torch.equal(Noise(0, first=40).uniform(20, (1, 2, 2), like), whole[40:60])
    True
    """

    seed: int | None = None
    first: int | Tensor = 0
    draw: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.first, Tensor):
            return
        if self.first < 0 or self.draw < 0:
            raise UsageError(
                f"first is {self.first} and draw is {self.draw}, but both are counted from 0",
                fix="give numbers of 0 or more",
            )

    def of_part(self, start: int, rows: int) -> Noise:
        """Return the noise of some of the rows."""
        part = self.first[start : start + rows] if isinstance(self.first, Tensor) else self.first + start
        return replace(self, first=part)

    def uniform(self, n: int, event_shape: Sequence[int], like: Tensor) -> Tensor:
        """Return uniforms in [0, 1), shape ``(n, *event_shape)``, with the dtype and device of `like`."""
        if self.seed is None:
            generator = current_generator(like.device)
            return torch.rand(n, *event_shape, generator=generator, dtype=like.dtype, device=like.device)
        if isinstance(self.first, Tensor):
            keyed = keyed_uniforms(self.first, math.prod(event_shape), self.seed, self.draw)
            return _below_one(keyed.to(like)).view(n, *event_shape)
        # On the CPU whatever the device, so that a seed gives the same noise everywhere.
        form: Any = {"dtype": like.dtype, "device": "cpu"}
        size = _rows_of_a_block(event_shape)
        blocks = range(self.first // size, -(-(self.first + n) // size))
        parts = [
            torch.rand(size, *event_shape, generator=generator_of(self.seed, block, self.draw), **form)
            for block in blocks
        ]
        skipped = self.first - blocks.start * size
        whole = torch.cat(parts) if parts else torch.empty(0, *event_shape, **form)
        return whole[skipped : skipped + n].to(like.device)


def _below_one(uniform: Tensor) -> Tensor:
    """Return numbers that were rounded to another precision, none of them up to 1."""
    return uniform.clamp_max(1.0 - torch.finfo(uniform.dtype).eps / 2)


def _rows_of_a_block(event_shape: Sequence[int]) -> int:
    rows = _NUMBERS // max(1, math.prod(event_shape))
    return min(BLOCK_ROWS, max(1, rows))
