"""Fully connected networks: plain and residual."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.configuration import Configured
from logpx.nets.layers import (
    DAMPING,
    ContextLinear,
    activation_function,
    check_widths,
    damp,
    damp_context,
    overwriting_activation,
    squash,
)

__all__ = ["MLP", "ResidualMLP"]


class MLP(Configured, nn.Module):
    """A multi-layer perceptron whose output starts at zero.

    The context enters the first layer and, directly, the output, so that it reaches every output,
    whatever the widths.

    Parameters
    ----------
    in_features, out_features
        Sizes; ``in_features`` may be 0 if there is a context.
    hidden
        Widths of the hidden layers.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.
    damped
        Whether to bound extreme inputs smoothly; not needed for inputs that are already bounded.

    Examples
    --------
    >>> import torch
    >>> MLP(2, 3, hidden=(8,))(torch.ones(4, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        *,
        activation: str = "relu",
        damped: bool = True,
    ) -> None:
        super().__init__()
        check_widths(hidden)
        self.damped = damped
        widths = [in_features, *hidden]
        self.activation = overwriting_activation(activation)
        layers = [
            ContextLinear(before, after, context if index == 0 else 0)
            for index, (before, after) in enumerate(pairwise(widths))
        ]
        self.layers = cast(Sequence[ContextLinear], nn.ModuleList(layers))
        self.output = ContextLinear(widths[-1], out_features, context, zero=True)
        # Whether the values of one output for all rows are to lie together in memory.
        self.rows_together = False

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs, shape ``(*rows, out_features)``."""
        h, factor = (squash(x), DAMPING) if self.damped else (x, 1.0)
        context = damp_context(context)
        for layer in self.layers:
            h = self.activation(layer(h, context, factor))
            factor = 1.0
        if (
            self.rows_together
            and factor == 1.0
            and context is None
            and h.dim() == 2
            and not torch.compiler.is_compiling()
        ):
            return torch.addmm(self.output.bias.unsqueeze(1), self.output.weight, h.t()).t()
        return self.output.forward(h, context, factor)


class ResidualMLP(Configured, nn.Module):
    """Residual blocks of two layers each, with the context added in every block; the output starts at zero.

    Parameters
    ----------
    in_features, out_features
        Sizes.
    width
        Width of every hidden layer.
    blocks
        The number of residual blocks.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.

    References
    ----------
    He et al. 2016, Identity mappings in deep residual networks (pre-activation blocks).
    https://arxiv.org/abs/1603.05027

    Examples
    --------
    >>> import torch
    >>> ResidualMLP(2, 3, width=8, blocks=1)(torch.ones(4, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int = 64,
        blocks: int = 2,
        *,
        context: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_widths([width])
        check_count("blocks", blocks, least=0)
        self.activation = activation_function(activation)
        self.input = ContextLinear(in_features, width, context)
        self.first = nn.ModuleList(ContextLinear(width, width, context) for _ in range(blocks))
        self.second = nn.ModuleList(ContextLinear(width, width, zero=True) for _ in range(blocks))
        self.output = ContextLinear(width, out_features, context, zero=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs, shape ``(*rows, out_features)``."""
        context = damp_context(context)
        h = self.input(damp(x), context)
        for first, second in zip(self.first, self.second, strict=True):
            h = h + second(self.activation(first(self.activation(h), context)))
        return self.output.forward(self.activation(h), context)
