"""Glow: activation normalization, 1×1 convolutions and channel couplings, for images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from logpx.arguments import check_count, is_whole
from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.flows.contexts import context_size
from logpx.flows.images import checked_levels
from logpx.flows.layers import chain_of
from logpx.transforms import (
    ActNorm,
    Chain,
    Channels,
    Convolution1x1,
    Coupling,
    MultiScale,
    Squeezed,
    Transform,
)
from logpx.transforms.squeezed import as_image_shape, squeezed_shape

__all__ = ["Glow"]


class Glow(Flow):
    """A flow of images in levels: at each, a squeeze and steps of three layers, then half the channels leave.

    A step is an activation normalization, a 1×1 convolution by a trained invertible matrix, and an affine
    coupling of the channels. The half that leaves has a learned prior given the other half.

    Parameters
    ----------
    event_shape
        Channels, height and width of the images.
    levels
        How often the image is halved; by default until it would be smaller than 4 × 4, or odd: 2 for 28 × 28,
        3 for 32 × 32.
    steps
        The number of steps at each level.
    hidden
        Widths of the residual blocks of every conditioner, all equal.
    context
        The number of context features; 0 means unconditional.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.
    recompute
        Recompute activations in the backward pass instead of keeping them, so that memory does not grow
        with the number of steps; see `logpx.transforms.ReversibleChain`.

    Raises
    ------
    UsageError
        If images have an odd height or width, or one that cannot be halved once per level.

    References
    ----------
    Kingma and Dhariwal 2018, Glow: Generative flow with invertible 1×1 convolutions.
    https://arxiv.org/abs/1807.03039

    Examples
    --------
    >>> import torch
    >>> flow = Glow((1, 8, 8), steps=2, hidden=(8,), context=10)
    >>> labels = torch.nn.functional.one_hot(torch.tensor([3, 1, 4]), 10).float()
    >>> flow.sample(3, context=labels, seed=0).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        levels: int | None = None,
        steps: int = 8,
        hidden: Sequence[int] = (64, 64),
        *,
        context: int | Sequence[int] = 0,
        recompute: bool = False,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        if is_whole(event_shape):
            raise UsageError(
                f"Glow is for images, not for vectors of {event_shape} features",
                fix="give (channels, height, width), or use RealNVP for vectors",
            )
        shape = as_image_shape(event_shape)
        check_count("steps", steps)
        levels = checked_levels(shape, levels, lambda count: count)
        super().__init__(
            StandardNormal(shape), _level(shape, levels, steps, hidden, size, recompute), embedding, context
        )


def _level(
    shape: tuple[int, int, int],
    levels: int,
    steps: int,
    hidden: Sequence[int],
    context: int,
    recompute: bool,
) -> Transform:
    """Return the transform of an image, from its largest level inwards."""
    squeezed = channels, height, width = squeezed_shape(shape)
    layers: list[Transform] = []
    for _ in range(steps):
        coupling = Coupling(hidden=hidden, context=context, partition=Channels(squeezed))
        layers += [ActNorm(squeezed), Convolution1x1(squeezed), coupling]
    run = chain_of(layers, recompute)
    if levels == 1:
        return Squeezed(run)
    inner = _level((channels // 2, height, width), levels - 1, steps, hidden, context, recompute)
    return Squeezed(Chain([run, MultiScale(inner, hidden, context)]))
