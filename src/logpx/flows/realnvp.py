"""RealNVP: affine coupling layers, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.flows.contexts import context_size
from logpx.flows.images import alternating, checked_levels
from logpx.flows.layers import (
    OneFunction,
    chain_of,
    check_layers,
    coupling_layers,
    standardized,
    warn_if_gaussian,
)
from logpx.transforms import (
    ActNorm,
    AffineFunction,
    Chain,
    Channels,
    Checkerboard,
    MultiScale,
    Squeezed,
    Transform,
)
from logpx.transforms.squeezed import as_image_shape, squeezed_shape

__all__ = ["RealNVP"]


class RealNVP(Flow):
    """Affine coupling layers: log_prob and sampling cost one pass each.

    Images pass through levels. At each, checkerboard couplings are followed by a squeeze and channel
    couplings, and half of the channels leave with a learned prior; the last level has only checkerboard
    couplings.

    Parameters
    ----------
    features
        The number of features, at least 2 (or 1 with a context); or channels, height and width of images.
    layers
        The number of coupling layers; for images, per level: half on checkerboards, half on channels.
    hidden
        Widths of the hidden layers of every conditioner; for images, of its residual blocks, all equal.
    context
        The number of context features; 0 means unconditional.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.
    levels
        For images, the number of levels. Each but the last halves the image; by default until it would be
        smaller than 4 × 4, or odd: 2 for 28 × 28, 4 for 32 × 32.

    recompute
        Recompute activations in the backward pass instead of keeping them, so that memory does not grow
        with the number of layers; see `logpx.transforms.ReversibleChain`.

    Raises
    ------
    UsageError
        If images have an odd height or width, or one that cannot be halved once per level.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP; for images figure 4, with
    activation normalization in place of batch normalization.
    https://arxiv.org/abs/1605.08803

    Examples
    --------
    >>> import torch
    >>> flow = RealNVP(features=2, layers=6, hidden=(64, 64))
    >>> flow.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    >>> RealNVP((1, 8, 8), layers=4, hidden=(8,)).sample(3, seed=0).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        features: int | Sequence[int],
        layers: int = 6,
        hidden: Sequence[int] = (64, 64),
        context: int | Sequence[int] = 0,
        *,
        levels: int | None = None,
        recompute: bool = False,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        if isinstance(features, Sequence):
            shape = as_image_shape(features)
            check_layers(layers)
            levels = checked_levels(shape, levels, lambda count: count - 1)
            super().__init__(
                StandardNormal(shape),
                _level(shape, levels, layers, hidden, size, recompute),
                embedding,
                context,
            )
            return
        if levels is not None:
            raise UsageError(
                "levels are for images, not for vectors",
                fix="leave them out, or give (channels, height, width)",
            )
        stack, _ = coupling_layers(features, layers, OneFunction(AffineFunction()), hidden, size)
        warn_if_gaussian("RealNVP", features)
        super().__init__(
            StandardNormal(features), standardized(features, stack, recompute), embedding, context
        )


def _level(
    shape: tuple[int, int, int],
    levels: int,
    layers: int,
    hidden: Sequence[int],
    context: int,
    recompute: bool,
) -> Transform:
    """Return the transform of an image, from its largest level inwards."""
    last = levels == 1
    boards = layers // 2 + 1 if last else (layers + 1) // 2
    run = chain_of([ActNorm(shape), *alternating(Checkerboard, shape, boards, hidden, context)], recompute)
    if last:
        return run
    squeezed = channels, height, width = squeezed_shape(shape)
    couplings = alternating(Channels, squeezed, layers // 2, hidden, context)
    inner = _level((channels // 2, height, width), levels - 1, layers, hidden, context, recompute)
    split = MultiScale(inner, hidden, context)
    return Chain([run, Squeezed(Chain([chain_of([ActNorm(squeezed), *couplings], recompute), split]))])
