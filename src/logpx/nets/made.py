"""The masked autoencoder for density estimation: a net whose output i sees only inputs before i."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.nets.layers import (
    ContextLinear,
    check_widths,
    damp,
    damp_context,
    overwriting_activation,
)

__all__ = ["MADE"]


def _hidden_degrees(width: int, features: int, context: int) -> list[int]:
    # A unit of degree d sees the first d inputs. Degree 0 is worth having only where a context is seen.
    lowest = 0 if context else 1
    choices = max(features - lowest, 1)
    return [min(lowest + unit * choices // width, max(features - 1, 0)) for unit in range(width)]


class MADE(Configured, nn.Module):
    r"""Per-feature parameters :math:`\theta_i(x_{<i}, c)` in one pass, by masked weights.

    Hidden units are ordered by degree (how many inputs they see), so that `sequential` can compute each unit
    once while the inputs become known one after another. A masked linear map from inputs to outputs keeps
    every permitted dependence alive whatever the widths. The context enters the first layer and every
    output, unmasked. Outputs start at zero.

    Parameters
    ----------
    features
        The number of inputs.
    parameters
        How many outputs each feature has.
    hidden
        Widths of the hidden layers.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.

    References
    ----------
    Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation.

    Examples
    --------
    >>> import torch
    >>> MADE(3, parameters=2, hidden=(8,))(torch.ones(4, 3)).shape
    torch.Size([4, 3, 2])
    """

    def __init__(
        self,
        features: int,
        parameters: int,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_widths(hidden)
        if not hidden:
            raise UsageError("an autoregressive net needs a hidden layer", fix="give hidden=(64,) or more")
        self.features, self.parameters_per_feature = features, parameters
        self.activation = overwriting_activation(activation)
        degrees = [
            list(range(1, features + 1)),
            *(_hidden_degrees(width, features, context) for width in hidden),
        ]
        output_degrees = [feature for feature in range(features) for _ in range(parameters)]
        widths = [features, *hidden]
        layers = [
            ContextLinear(before, after, context if index == 0 else 0)
            for index, (before, after) in enumerate(pairwise(widths))
        ]
        self.layers = cast(Sequence[ContextLinear], nn.ModuleList(layers))
        self.output = ContextLinear(hidden[-1], features * parameters, context, zero=True)
        self.skip = nn.Parameter(torch.zeros(features * parameters, features))
        for index, (before, after) in enumerate(pairwise(degrees)):
            self._register_mask(f"mask_{index}", after, before)
        self._register_mask("output_mask", output_degrees, degrees[-1])
        self._register_mask("skip_mask", output_degrees, degrees[0])
        # known[l][k]: how many units of layer l see no more than the first k inputs.
        self.known = [[sum(d <= k for d in layer) for k in range(features + 1)] for layer in degrees]

    def _register_mask(self, name: str, outputs: list[int], inputs: list[int]) -> None:
        mask = torch.tensor(outputs)[:, None] >= torch.tensor(inputs)[None, :]
        self.register_buffer(name, mask.to(torch.get_default_dtype()))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the parameters of every feature, shape ``(*rows, features, parameters)``."""
        damped, context = damp(x), damp_context(context)
        h = damped
        for index, layer in enumerate(self.layers):
            h = self.activation(layer.masked_forward(h, self.get_buffer(f"mask_{index}"), context))
        y = self.output.masked_forward(h, self.get_buffer("output_mask"), context)
        y = y + functional.linear(damped, self.skip * self.get_buffer("skip_mask"))
        return y.reshape(*x.shape, self.parameters_per_feature)

    def sequential(
        self, solve: Callable[[int, Tensor], Tensor], rows: torch.Size, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Find the inputs one after another, computing each hidden unit once.

        Parameters
        ----------
        solve
            Called as ``solve(i, parameters_of_feature_i)``; returns input i, of shape `rows`.
        rows
            The leading shape.
        context
            Shape ``(*rows, context)`` or ``(context,)``.

        Returns
        -------
        x : Tensor
            The inputs, shape ``(*rows, features)``.
        parameters : Tensor
            What `forward` would return for them.
        """
        known: list[list[Tensor]] = [[] for _ in self.known]
        context = damp_context(context)
        inputs: list[Tensor] = []
        parameters: list[Tensor] = []
        for step in range(self.features):
            if step:
                known[0].append(damp(inputs[-1]).unsqueeze(-1))
            for index, layer in enumerate(self.layers):
                start = self.known[index + 1][step - 1] if step else 0
                stop = self.known[index + 1][step]
                if stop > start:
                    width = self.known[index][step]
                    h = _rows_of(layer, slice(start, stop), width, known[index], rows, context)
                    known[index + 1].append(self.activation(h))
            outputs = slice(step * self.parameters_per_feature, (step + 1) * self.parameters_per_feature)
            theta = _rows_of(self.output, outputs, self.known[-1][step], known[-1], rows, context)
            if step:
                theta = theta + functional.linear(torch.cat(known[0], -1), self.skip[outputs, :step])
            parameters.append(theta)
            inputs.append(solve(step, theta))
        return torch.stack(inputs, -1), torch.stack(parameters, -2)


def _rows_of(
    layer: ContextLinear,
    outputs: slice,
    width: int,
    known: list[Tensor],
    rows: torch.Size,
    context: Tensor | None,
) -> Tensor:
    """Apply some output rows of a layer to its first `width` inputs, all that those rows may see."""
    bias = layer.bias[outputs]
    if width:
        y = functional.linear(torch.cat(known, -1)[..., :width], layer.weight[outputs, :width], bias)
    else:
        y = bias.expand(*rows, -1).clone()
    return y if layer.context_weight is None else y + layer.of_context(context, outputs)
