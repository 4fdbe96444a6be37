"""The masked autoencoder for density estimation: a net whose output i sees only inputs before i."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count, check_instance
from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.nets.causal import IncrementalConditioner
from logpx.nets.dense_node import DenseLayer, blocks_of, dense_node, suits_node
from logpx.nets.embedding import CircularEmbedding
from logpx.nets.layers import (
    DAMPING,
    ContextLinear,
    check_widths,
    damp,
    damp_context,
    overwriting_activation,
    squash,
)
from logpx.nets.sweep import Sweep, needs_no_graph

__all__ = ["MADE"]


def _hidden_degrees(width: int, features: int, context: int) -> list[int]:
    # A unit of degree d sees the first d inputs. Degree 0 is useful only with a context.
    lowest = 0 if context else 1
    choices = max(features - lowest, 1)
    return [min(lowest + unit * choices // width, max(features - 1, 0)) for unit in range(width)]


class MADE(Configured, nn.Module, IncrementalConditioner):
    r"""Per-feature parameters :math:`\theta_i(x_{<i}, c)` in one pass, by masked weights.

    Hidden units are ordered by degree (how many inputs they see), so that `sequential` can compute each unit
    once while the inputs become known one after another. A masked linear map from inputs to outputs keeps
    every permitted dependence alive, whatever the widths. The context enters the first layer and every
    output, unmasked. Outputs start at zero.

    Parameters
    ----------
    features
        The number of inputs.
    parameters
        The number of outputs per feature.
    hidden
        Widths of the hidden layers.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.
    embedding
        What the net sees of the inputs, by default their values. All of one input shares its mask.

    References
    ----------
    Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation.
    https://arxiv.org/abs/1502.03509

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
        *,
        activation: str = "relu",
        embedding: CircularEmbedding | None = None,
    ) -> None:
        super().__init__()
        check_count("features", features)
        check_count("parameters", parameters)
        check_count("context", context, least=0)
        if embedding is not None:
            check_instance("embedding", embedding, CircularEmbedding, "CircularEmbedding(3, circular=(0,))")
        check_widths(hidden)
        if not hidden:
            raise UsageError("an autoregressive net needs a hidden layer", fix="give hidden=(64,) or more")
        self.features, self.parameters_per_feature = features, parameters
        self.activation = overwriting_activation(activation)
        self.embedding = embedding
        owners = range(features) if embedding is None else embedding.owners
        degrees = [
            [owner + 1 for owner in owners],
            *(_hidden_degrees(width, features, context) for width in hidden),
        ]
        output_degrees = [feature for feature in range(features) for _ in range(parameters)]
        widths = [len(owners), *hidden]
        layers = [
            ContextLinear(before, after, context if index == 0 else 0)
            for index, (before, after) in enumerate(pairwise(widths))
        ]
        self.layers = cast(Sequence[ContextLinear], nn.ModuleList(layers))
        self.output = ContextLinear(hidden[-1], features * parameters, context, zero=True)
        self.skip = nn.Parameter(torch.zeros(features * parameters, len(owners)))
        for index, (before, after) in enumerate(pairwise(degrees)):
            self._register_mask(f"mask_{index}", after, before)
        self._register_mask("output_mask", output_degrees, degrees[-1])
        self._register_mask("skip_mask", output_degrees, degrees[0])
        # known[l][k]: how many units of layer l see only the first k inputs, or fewer.
        self.known = [[sum(d <= k for d in layer) for k in range(features + 1)] for layer in degrees]
        self._mask_names = [*(f"mask_{index}" for index in range(len(layers))), "output_mask", "skip_mask"]
        self._units = sum(hidden) + features * parameters
        self._dense = [
            DenseLayer(blocks_of(after, known))
            for after, known in zip([*degrees[1:], output_degrees], self.known, strict=True)
        ]

    def _register_mask(self, name: str, outputs: list[int], inputs: list[int]) -> None:
        mask = np.greater_equal.outer(outputs, inputs)
        self.register_buffer(name, torch.tensor(mask, dtype=torch.get_default_dtype()))

    def _seen_of(self, feature: int, x: Tensor) -> Tensor:
        return damp(x.unsqueeze(-1) if self.embedding is None else self.embedding.of_feature(feature, x))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the parameters of every feature, shape ``(*rows, features, parameters)``."""
        seen = x if self.embedding is None else self.embedding(x)
        context = damp_context(context)
        if context is None and self.activation is torch.relu_ and suits_node(seen, self.skip, self._units):
            y = dense_node(self._dense, damp(seen), self._tensors(), self._masks(), self._composed)
        else:
            y = self._layer_by_layer(seen, context)
        return y.view(*x.shape, self.parameters_per_feature)

    def _layer_by_layer(self, seen: Tensor, context: Tensor | None) -> Tensor:
        h = squashed = squash(seen)
        factor = DAMPING
        *masks, output_mask, skip_mask = self._masks()
        for layer, mask in zip(self.layers, masks, strict=True):
            h = self.activation(layer.masked_forward(h, mask, context, factor))
            factor = 1.0
        y = self.output.masked_forward(h, output_mask, context)
        skip = self.skip * skip_mask
        if seen.dim() == 2:
            return torch.addmm(y, squashed, skip.t(), alpha=DAMPING)
        return y + functional.linear(squashed * DAMPING, skip)

    def _tensors(self) -> list[Tensor]:
        layers = (*self.layers, self.output)
        return [*(tensor for layer in layers for tensor in (layer.weight, layer.bias)), self.skip]

    def _masks(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._mask_names]

    def _composed(self, damped: Tensor, *tensors: Tensor) -> Tensor:
        *hidden, output, skip = [
            weight * mask for weight, mask in zip(tensors[::2], self._masks(), strict=True)
        ]
        *biases, last = tensors[1::2]
        h = damped
        for weight, bias in zip(hidden, biases, strict=True):
            h = torch.relu(functional.linear(h, weight, bias))
        return functional.linear(h, output, last) + functional.linear(damped, skip)

    def sequential(
        self, solve: Callable[[int, Tensor], Tensor], rows: torch.Size, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Find the inputs one after another, computing each hidden unit once.

        See `IncrementalConditioner.sequential`.
        """
        context = damp_context(context)
        if needs_no_graph(rows, self.skip):
            return self._swept(solve, rows, context)
        pending = [_Pending(layer, rows, context) for layer in (*self.layers, self.output)]
        # How many units of a layer become known with each further input.
        sizes = [[known[0], *(b - a for a, b in pairwise(known))] for known in self.known]
        columns = [
            torch.split(layer.weight, size, 1)
            for layer, size in zip((*self.layers, self.output), sizes, strict=True)
        ]
        skips = torch.split(self.skip, sizes[0][1:], 1)
        inputs: list[Tensor] = []
        parameters: list[Tensor] = []
        for step in range(self.features):
            if step:
                latest = self._seen_of(step - 1, inputs[-1])
                pending[0].add(latest, columns[0][step])
                pending[-1].add(latest, skips[step - 1])
            for index, following in enumerate(pending[1:]):
                units = sizes[index + 1][step]
                if units:
                    h = self.activation(pending[index].take(units))
                    following.add(h, columns[index + 1][step])
            parameters.append(pending[-1].take(self.parameters_per_feature))
            inputs.append(solve(step, parameters[-1]))
        return torch.stack(inputs, -1), torch.stack(parameters, -2)

    def _swept(
        self, solve: Callable[[int, Tensor], Tensor], rows: torch.Size, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Do the same without a graph, with the rows of data last."""
        layers = (*self.layers, self.output)
        sweep = Sweep(layers, self.skip, self.known, activation=self.activation, rows=rows, context=context)
        inputs = self.skip.new_empty(self.features, *rows)
        for step in range(self.features):
            x = solve(step, sweep.outputs(step).t())
            if x.dtype != inputs.dtype:
                raise RuntimeError(f"inputs of {x.dtype} for a net of {inputs.dtype}")
            inputs[step] = x
            sweep.add(step, self._seen_of(step, x).t())
        parameters = sweep.all_outputs().view(self.features, self.parameters_per_feature, *rows)
        return inputs.t(), parameters.permute(2, 0, 1)


class _Pending:
    """The outputs of a layer that are not yet complete: those of the units that see the most inputs.

    Every new input of the layer is added to all of them at once, and never used again. Autograd then keeps
    each unit once; gathering a unit's inputs when its turn comes would keep a copy for every feature.
    """

    def __init__(self, layer: ContextLinear, rows: torch.Size, context: Tensor | None) -> None:
        self.bias = layer.bias
        self.total = layer.bias.new_zeros(*rows, len(layer.bias))
        if layer.context_weight is not None:
            self.total = self.total + layer.of_context(context, slice(None))

    def add(self, inputs: Tensor, columns: Tensor) -> None:
        """Add the contribution of new inputs to the pending outputs, given their columns of the weight."""
        self.total = self.total + functional.linear(inputs, columns[len(columns) - self.total.shape[-1] :])

    def take(self, count: int) -> Tensor:
        """Return the first pending outputs, now complete, in their own memory."""
        done = len(self.bias) - self.total.shape[-1]
        outputs = self.total[..., :count] + self.bias[done : done + count]
        self.total = self.total[..., count:]
        return outputs
