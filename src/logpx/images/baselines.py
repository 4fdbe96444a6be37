"""Simple distributions of images, to compare a model with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution, FullNormal
from logpx.distributions.seeding import draw_rows
from logpx.images.preprocessing import check_levels, checked_levels
from logpx.transforms.base import sum_over_event

__all__ = ["FlatNormal", "PixelHistogram", "UniformLevels"]

# A tenth of an image on every level: no level is impossible.
_PSEUDO_COUNT = 0.1


def _within(x: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Return the nearest whole levels, NaN where pixels are, and which pixels are no level."""
    nearest = x.floor().clamp(0, levels - 1)
    return nearest, (nearest != x) & ~x.isnan()


class PixelHistogram(Distribution):
    """Independent pixels, each with its own probability of every level: an exact log-probability.

    Parameters
    ----------
    event_shape
        Channels, height and width.
    levels
        The number of levels.

    Examples
    --------
    >>> histogram = PixelHistogram((1, 1, 1), levels=4)
    >>> histogram.log_prob(torch.zeros(1, 1, 1, 1)).exp()
    tensor([0.2500])
    """

    logits: Tensor

    def __init__(self, event_shape: Sequence[int], levels: int = 256) -> None:
        super().__init__(event_shape)
        self.levels = checked_levels(levels)
        self.register_buffer("logits", torch.zeros(*self.event_shape, levels))

    @torch.no_grad()
    def update(self, counts: Tensor) -> None:
        """Set the probabilities from how often each pixel had each level, shape ``(C, H, W, levels)``."""
        self.logits.copy_((counts.double() + _PSEUDO_COUNT).log().to(self.logits.dtype))

    def counts(self, x: Tensor) -> Tensor:
        """Return how often each pixel has each level in some images; those of different images add up.

        Raises
        ------
        DataError
            If a value is no whole level; names the image.
        """
        x = x.reshape(-1, *self.event_shape).cpu()
        check_levels(x, self.levels)
        total = torch.zeros(self.logits.shape, dtype=torch.int64)
        index = x.to(torch.int64).movedim(0, -1)
        return total.scatter_add_(-1, index, torch.ones_like(index))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-probability of whole levels in nats, shape ``(n,)``."""
        chosen = self.logits.log_softmax(-1)
        x, beyond = _within(x, self.levels)
        found = chosen.gather(-1, x.nan_to_num().to(torch.int64).movedim(0, -1)).movedim(-1, 0)
        return sum_over_event(found.masked_fill(beyond, -math.inf) + 0.0 * x, self.event_shape)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw images of whole levels, shape ``(n, C, H, W)``."""
        uniforms = draw_rows(
            n,
            seed,
            self.logits,
            lambda rows, generator, device: torch.rand(
                rows, *self.event_shape, generator=generator, device=device
            ),
            width=math.prod(self.event_shape),
        )
        edges = self.logits.softmax(-1).cumsum(-1)
        drawn = torch.searchsorted(edges, uniforms.movedim(0, -1).to(edges.dtype).contiguous(), right=True)
        return drawn.clamp_max(self.levels - 1).movedim(-1, 0).to(self.logits.dtype)


class FlatNormal(Distribution):
    """A normal distribution with full covariance over all pixels and channels of an image.

    Parameters
    ----------
    event_shape
        Channels, height and width.

    Examples
    --------
    >>> FlatNormal((1, 2, 2)).log_prob(torch.zeros(1, 1, 2, 2)).shape
    torch.Size([1])
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__(event_shape)
        self.normal = FullNormal(int(torch.Size(self.event_shape).numel()))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        return self.normal.log_prob(x.flatten(-3))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw images, shape ``(n, C, H, W)``."""
        return self.normal.sample(n, seed=seed).view(n, *self.event_shape)


class UniformLevels(Distribution):
    """Independent pixels with all levels equally likely: an exact log-probability, with nothing to fit.

    Parameters
    ----------
    event_shape
        Channels, height and width.
    levels
        The number of levels.

    Examples
    --------
    >>> UniformLevels((1, 1, 1), levels=4).log_prob(torch.zeros(1, 1, 1, 1)).exp()
    tensor([0.2500])
    """

    def __init__(self, event_shape: Sequence[int], levels: int = 256) -> None:
        super().__init__(event_shape)
        self.levels = checked_levels(levels)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-probability of whole levels in nats, shape ``(n,)``."""
        x, beyond = _within(x, self.levels)
        found = torch.full_like(x, -math.log(self.levels)).masked_fill(beyond, -math.inf)
        return sum_over_event(found + 0.0 * x, self.event_shape)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw images of whole levels, shape ``(n, C, H, W)``."""
        uniforms = draw_rows(
            n,
            seed,
            torch.empty(0),
            lambda rows, generator, device: torch.rand(
                rows, *self.event_shape, generator=generator, device=device
            ),
            width=math.prod(self.event_shape),
        )
        return (uniforms * self.levels).floor().clamp_max(self.levels - 1)
