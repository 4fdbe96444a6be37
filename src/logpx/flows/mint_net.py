"""MintNet: masked convolutions with triangular Jacobians."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from logpx.arguments import is_whole
from logpx.distributions import Flow, StandardNormal
from logpx.flows.contexts import context_size
from logpx.flows.layers import check_layers
from logpx.transforms import ActNorm, Chain, MintLayer, Standardize, Transform

__all__ = ["MintNet"]


class MintNet(Flow):
    """Mint layers that read the features forwards and backwards in turn.

    log_prob costs one pass. Sampling inverts each layer by an iteration that ends with a residual at rounding
    level, or in `NotConvergedError`.

    Parameters
    ----------
    event_shape
        The number of features of a vector, or (channels, height, width) of an image.
    layers
        The number of Mint layers; with 2 or more, every feature can depend on every other.
    hidden
        The number of hidden feature maps per channel, or hidden units per feature, in each layer.
    kernel
        The side of the kernels for images, an odd number.
    context
        The number of context features; 0 means unconditional.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.

    References
    ----------
    Song, Meng and Ermon 2019, MintNet: Building Invertible Neural Networks with Masked Convolutions.
    https://arxiv.org/abs/1907.07945

    Examples
    --------
    >>> import torch
    >>> MintNet((1, 8, 8), layers=2).log_prob(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        event_shape: int | Sequence[int],
        layers: int = 6,
        hidden: int = 16,
        kernel: int = 3,
        *,
        context: int | Sequence[int] = 0,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        check_layers(layers)
        stack = [
            MintLayer(event_shape, hidden, kernel, size, reverse=index % 2 == 1) for index in range(layers)
        ]
        # The features of a vector have units of their own; the pixels of a channel share one.
        unit: Transform = Standardize(event_shape) if is_whole(event_shape) else ActNorm(event_shape)
        super().__init__(StandardNormal(event_shape), Chain([unit, *stack]), embedding, context)
