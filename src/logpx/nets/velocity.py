"""A network for velocities, which know their position and the time, and their own divergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.configuration import Configured
from logpx.nets.layers import check_widths

__all__ = ["VelocityMLP"]

# Periods of the time that the network sees: the longest, divided by 1, 2, ...
_FREQUENCIES = 4
# How much wider than torch's the first weights are spread: paths that part, as between clusters, are then
# learnt several times as fast.
_SPREAD = 6.0


class VelocityMLP(Configured, nn.Module):
    r"""A multi-layer perceptron from position, time and context to a velocity, which starts at zero.

    The activation is :math:`h \sigma(h)`. The time enters the first layer with its sines and cosines.

    Parameters
    ----------
    features
        The number of features of x.
    hidden
        Widths of the hidden layers.
    context
        The number of context features.

    Examples
    --------
    >>> net = VelocityMLP(2, hidden=(8,))
    >>> net(torch.ones(5, 2), torch.tensor(0.3)).shape
    torch.Size([5, 2])
    """

    frequencies: Tensor

    def __init__(self, features: int, hidden: Sequence[int] = (128, 128, 128), context: int = 0) -> None:
        super().__init__()
        check_count("features", features)
        check_widths(hidden)
        self.features = features
        inputs = features + 1 + 2 * _FREQUENCIES + context
        self.layers = cast(
            Sequence[nn.Linear], nn.ModuleList(nn.Linear(*two) for two in pairwise([inputs, *hidden]))
        )
        self.output = nn.Linear([inputs, *hidden][-1], features)
        if len(self.layers):
            with torch.no_grad():
                self.layers[0].weight[:, : inputs - context].mul_(_SPREAD)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, _FREQUENCIES + 1.0))

    def _inputs(self, x: Tensor, t: Tensor, context: Tensor | None) -> Tensor:
        angles = t.unsqueeze(-1) * self.frequencies
        times = torch.cat([t.unsqueeze(-1), angles.sin(), angles.cos()], -1)
        parts = [x, times.expand(*x.shape[:-1], times.shape[-1])]
        if context is not None:
            parts.append(context.expand(*x.shape[:-1], context.shape[-1]))
        return torch.cat(parts, -1)

    def forward(self, x: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the velocity at a time, a number or one per row, shape ``(*rows, features)``."""
        h = self._inputs(x, t, context)
        for layer in self.layers:
            h = nn.functional.silu(layer(h))
        found: Tensor = self.output(h)
        return found

    def with_products(
        self, x: Tensor, t: Tensor, context: Tensor | None, directions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the velocity, and the products of its Jacobian with directions, forwards in one pass.

        Parameters
        ----------
        x, t, context
            As of a call.
        directions
            Shape ``(*rows, k, features)``, or one that broadcasts to it.

        Returns
        -------
        Tensor
            The velocity, shape ``(*rows, features)``.
        Tensor
            The products, shape ``(*rows, k, features)``.
        """
        h = self._inputs(x, t, context)
        tangents = directions
        for index, layer in enumerate(self.layers):
            weight = layer.weight if index else layer.weight[:, : self.features]
            h, tangents = layer(h), tangents @ weight.mT
            gate = torch.sigmoid(h)
            slope = gate * (1.0 + h * (1.0 - gate))
            h, tangents = h * gate, tangents * slope.unsqueeze(-2)
        weight = self.output.weight if len(self.layers) else self.output.weight[:, : self.features]
        return self.output(h), (tangents @ weight.mT).expand(*x.shape[:-1], -1, -1)
