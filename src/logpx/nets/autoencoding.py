"""Convolutional residual networks from an image to numbers, and from numbers to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count
from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.nets.convolutional import (
    ContextConvolution,
    ResidualBlock,
    channels_innermost,
    flat_context,
)
from logpx.nets.layers import (
    ContextLinear,
    check_widths,
    damp,
    damp_context,
    overwriting_activation,
)

__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder"]


class ConvolutionalEncoder(Configured, nn.Module):
    """From an image to numbers: halvings with a residual block after each, then a linear layer.

    The output starts at zero. The context enters every halving, every block and, directly, the output. An odd
    height or width is rounded up when halved. There is no normalization, so rows never depend on each other.

    Parameters
    ----------
    event_shape
        Channels, height and width, of any size.
    out_features
        The number of outputs.
    hidden
        Channels after each halving, from fine to coarse.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.

    Raises
    ------
    UsageError
        If an argument is invalid, or an image has another shape.

    References
    ----------
    He et al. 2016, Identity mappings in deep residual networks (pre-activation blocks).
    https://arxiv.org/abs/1603.05027

    Examples
    --------
    >>> import torch
    >>> ConvolutionalEncoder((1, 7, 9), 4, hidden=(8, 16))(torch.ones(5, 1, 7, 9)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        out_features: int,
        hidden: Sequence[int] = (32, 64),
        context: int = 0,
        *,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.event_shape = _image_shape(event_shape)
        check_widths(hidden)
        self.activation = overwriting_activation(activation)
        channels, *size = self.event_shape
        halving = [
            ContextConvolution(before, after, context, stride=2)
            for before, after in pairwise([channels, *hidden])
        ]
        blocks = [ResidualBlock(width, context, activation) for width in hidden]
        self.halving = cast(Sequence[ContextConvolution], nn.ModuleList(halving))
        self.blocks = cast(Sequence[ResidualBlock], nn.ModuleList(blocks))
        height, width = _halved(size, len(hidden))[-1]
        self.features = [channels, *hidden][-1] * height * width
        self.output = ContextLinear(self.features, out_features, context, zero=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs, shape ``(*rows, out_features)``.

        Parameters
        ----------
        x
            Shape ``(*rows, *event_shape)``.
        context
            Shape ``(*rows, context)`` or ``(context,)``.
        """
        if x.shape[-3:] != self.event_shape:
            raise UsageError(
                f"{type(self).__name__} takes images of shape {self.event_shape}, but got a tensor of "
                f"shape {tuple(x.shape)}",
                fix=f"give shape (*rows, {', '.join(map(str, self.event_shape))}), not flattened",
            )
        rows = x.shape[:-3]
        context = damp_context(context)
        flat = flat_context(context, rows)
        h = channels_innermost(damp(x).reshape(-1, *self.event_shape))
        for halve, block in zip(self.halving, self.blocks, strict=True):
            h = self.activation(block(halve(h, flat), flat))
        return self.output.forward(h.reshape(*rows, self.features), context)


class ConvolutionalDecoder(Configured, nn.Module):
    """From numbers to an image: a linear layer, then residual blocks, with the image doubled after each.

    The output starts at zero. The context enters the linear layer, every block, every doubling and, directly,
    the output. Height and width may be odd: the surplus of a doubling is cut off. There is no normalization,
    so rows never depend on each other.

    Parameters
    ----------
    in_features
        The number of inputs.
    event_shape
        Channels, height and width of the image, of any size.
    numbers
        The number of outputs for every value of the image; the first outputs of all values come first, as the
        likelihoods in `logpx.distributions.likelihoods` expect.
    hidden
        Channels before each doubling, from coarse to fine.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.

    Raises
    ------
    UsageError
        If an argument is invalid, or the input has another number of features.

    References
    ----------
    He et al. 2016, Identity mappings in deep residual networks (pre-activation blocks); Shi et al. 2016,
    Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network (doubling).
    https://arxiv.org/abs/1603.05027
    https://arxiv.org/abs/1609.05158

    Examples
    --------
    >>> import torch
    >>> decoder = ConvolutionalDecoder(2, (3, 7, 9), numbers=2, hidden=(16, 8))
    >>> decoder(torch.ones(10, 5, 2)).shape
    torch.Size([10, 5, 6, 7, 9])
    """

    def __init__(
        self,
        in_features: int,
        event_shape: Sequence[int],
        numbers: int = 1,
        hidden: Sequence[int] = (64, 32),
        *,
        context: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        channels, *size = _image_shape(event_shape)
        check_count("in_features", in_features)
        check_count("numbers", numbers)
        check_widths(hidden)
        self.in_features = in_features
        self.activation = overwriting_activation(activation)
        self.sizes = _halved(size, len(hidden))[::-1]
        widths = [*hidden, numbers * channels]
        self.start = (widths[0], *self.sizes[0])
        self.input = ContextLinear(in_features, math.prod(self.start), context, zero=not hidden)
        blocks = [ResidualBlock(width, context, activation) for width in hidden]
        doubling = [
            ContextConvolution(before, 4 * after, context, zero=index == len(hidden))
            for index, (before, after) in enumerate(pairwise(widths), 1)
        ]
        self.blocks = cast(Sequence[ResidualBlock], nn.ModuleList(blocks))
        self.doubling = cast(Sequence[ContextConvolution], nn.ModuleList(doubling))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs, shape ``(*rows, numbers * channels, height, width)``.

        Parameters
        ----------
        z
            Shape ``(*rows, in_features)``.
        context
            Shape ``(*rows, context)`` or ``(context,)``.
        """
        if not z.dim() or z.shape[-1] != self.in_features:
            raise UsageError(
                f"{type(self).__name__} takes {self.in_features} features, but got a tensor of shape "
                f"{tuple(z.shape)}",
                fix=f"give shape (*rows, {self.in_features})",
            )
        rows = z.shape[:-1]
        context = damp_context(context)
        flat = flat_context(context, rows)
        h = channels_innermost(self.input(damp(z), context).reshape(-1, *self.start))
        for block, double, (height, width) in zip(self.blocks, self.doubling, self.sizes[1:], strict=True):
            quarters = double(self.activation(block(h, flat)), flat)
            h = functional.pixel_shuffle(quarters, 2)[..., :height, :width]
        return h.contiguous().view(*rows, *h.shape[1:])


def _image_shape(event_shape: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(event_shape, Sequence) or len(event_shape) != 3:
        raise UsageError(
            f"an event shape of {event_shape}, where the shape of an image was expected",
            fix="give (channels, height, width)",
        )
    for name, size in zip(("channels", "height", "width"), event_shape, strict=True):
        check_count(name, size)
    return tuple(event_shape)


def _halved(size: Sequence[int], times: int) -> list[tuple[int, int]]:
    """Return height and width before and after each of some halvings, which round upwards."""
    height, width = size
    return [(-(-height // 2**index), -(-width // 2**index)) for index in range(times + 1)]
