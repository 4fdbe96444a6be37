"""Convolution with a triangular Jacobian and a positive diagonal."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.nets.layers import damp

__all__ = ["MaskedConvolution"]


class MaskedConvolution(nn.Module):
    r"""Masked convolution between groups of the channels of an image.

    The features of an image are ordered by pixel, in reading order, then by channel. Every group has one
    feature map per channel of the image, and feature (pixel p, channel c) of every output group sees the
    features before (p, c) of every input group, within the kernel, with any weight; and (p, c) itself with
    a nonnegative weight (the absolute value of a parameter). The Jacobian is triangular, group by group.

    Parameters
    ----------
    channels
        The number of channels of the image.
    in_groups, out_groups
        The number of groups of `channels` channels, at the input and at the output.
    kernel
        The side of the kernel, an odd number.
    context
        The number of context features, which shift every channel.
    reverse
        Order the features from last to first.
    scale
        The weights start within ± scale / sqrt(inputs of an output).

    References
    ----------
    Song, Meng and Ermon 2019, MintNet: Building Invertible Neural Networks with Masked Convolutions.
    https://arxiv.org/abs/1907.07945

    Examples
    --------
    >>> net = MaskedConvolution(channels=3, in_groups=1, out_groups=4)
    >>> net(torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 12, 8, 8])
    """

    before: Tensor
    itself: Tensor

    def __init__(
        self,
        channels: int,
        in_groups: int,
        out_groups: int,
        kernel: int = 3,
        *,
        context: int = 0,
        reverse: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        check_count("kernel", kernel)
        check_count("context", context, least=0)
        if kernel % 2 == 0:
            raise UsageError(f"kernel is {kernel!r}, but needs a centre", fix="give an odd number, such as 3")
        check_count("channels", channels)
        check_count("in_groups", in_groups)
        check_count("out_groups", out_groups)
        self.channels, self.kernel = channels, kernel
        tap = torch.arange(kernel * kernel).view(1, 1, kernel, kernel)
        centre = kernel * kernel // 2
        output, input = torch.arange(channels).view(-1, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1)
        before = (tap < centre) | ((tap == centre) & (input < output))
        itself = (tap == centre) & (input == output)
        if reverse:
            before = before.flip(0, 1, 2, 3)
        dtype = torch.get_default_dtype()
        self.register_buffer("before", before.to(dtype).view(channels, 1, channels, kernel, kernel))
        self.register_buffer("itself", itself.to(dtype).view(channels, 1, channels, kernel, kernel))
        bound = scale / math.sqrt(in_groups * (centre * channels + (channels + 1) / 2))
        shape = (out_groups, channels, in_groups, channels, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_groups * channels).uniform_(-bound, bound))
        self.context_weight = (
            nn.Parameter(torch.empty(out_groups * channels, context).uniform_(-bound, bound))
            if context
            else None
        )

    def taps(self) -> Tensor:
        """Return the effective weights, shape ``(out_groups × channels, in_groups × channels, k, k)``."""
        weight = self.weight * self.before + self.weight.abs() * self.itself
        return weight.flatten(2, 3).flatten(0, 1)

    def diagonal_taps(self) -> Tensor:
        """Return the weights of a feature on itself, shape ``(out_groups, in_groups, channels)``."""
        centre = self.kernel // 2
        return self.weight[..., centre, centre].diagonal(dim1=1, dim2=3).abs()

    def shift(self, context: Tensor | None) -> Tensor:
        """Return what is added to every output channel, shape ``(channels,)`` or ``(*rows, channels)``.

        Raises
        ------
        UsageError
            If the context is missing.
        """
        if self.context_weight is None:
            return self.bias
        if context is None:
            raise UsageError("a conditional model was called without its context", fix="pass context=...")
        return self.bias + functional.linear(damp(context), self.context_weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Apply the convolution.

        Parameters
        ----------
        x
            Shape ``(rows, in_groups × channels, height, width)``.
        context
            Shape ``(rows, context)`` or ``(context,)``.

        Returns
        -------
        Tensor
            Shape ``(rows, out_groups × channels, height, width)``.
        """
        y = functional.conv2d(x, self.taps(), padding=self.kernel // 2)
        return y + self.shift(context)[..., None, None]
