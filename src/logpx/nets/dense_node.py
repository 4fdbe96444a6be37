"""Dense nets of rectified units as one step of autograd, which leaves out the blocks of weights that are 0.

Everything in between lies with the units first and the rows of data last, so that the units of a block are
together in memory, and so are the values of one output for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

__all__ = ["Block", "DenseLayer", "blocks_of", "dense_node", "suits_node"]

# Fewer units than this are not worth a product of their own.
_LEAST_UNITS = 48
_MOST_BLOCKS = 4
# With fewer values of units than this, the number of operators matters more than what they do.
_LEAST_VALUES = 150_000


@dataclass(frozen=True)
class Block:
    """Some units of a layer, and the inputs that any of them sees: the first ones.

    Attributes
    ----------
    first, last : int
        The units, the last one not included.
    inputs : int
        The number of inputs.
    """

    first: int
    last: int
    inputs: int


@dataclass(frozen=True)
class DenseLayer:
    """A linear layer: its place among the tensors of the net.

    Attributes
    ----------
    blocks : sequence of Block
        All its units, in order; the last block sees the most inputs.
    """

    blocks: Sequence[Block]


def blocks_of(degrees: Sequence[int], known: Sequence[int]) -> list[Block]:
    """Divide units in ascending order of their degrees into blocks of about the same size.

    Parameters
    ----------
    degrees
        Of each unit: it sees the inputs that are known when so many features are.
    known
        How many inputs are known for each number of known features.

    Examples
    --------
    >>> blocks_of([1] * 60 + [2] * 60, known=[0, 5, 9])
    [Block(first=0, last=60, inputs=5), Block(first=60, last=120, inputs=9)]
    """
    units = len(degrees)
    count = max(1, min(_MOST_BLOCKS, units // _LEAST_UNITS))
    ends = [round(part * units / count) for part in range(count + 1)]
    return [Block(first, last, known[degrees[last - 1]]) for first, last in pairwise(ends)]


def suits_node(x: Tensor, weight: Tensor, units: int) -> bool:
    """Return whether an evaluation may be one step, and is worth it.

    It may not in a graph, in a transform of functions, and in mixed precision.

    Parameters
    ----------
    x
        The input.
    weight
        One of the weights.
    units
        The number of hidden units and outputs.
    """
    return not (
        torch.compiler.is_compiling()
        or x.dim() != 2
        or x.shape[0] * units < _LEAST_VALUES
        or x.device.type != "cpu"
        or x.dtype != weight.dtype
        or x.dtype not in (torch.float32, torch.float64)
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
    )


def dense_node(
    layers: Sequence[DenseLayer],
    x: Tensor,
    tensors: Sequence[Tensor],
    masks: Sequence[Tensor],
    plain: Callable[..., Tensor],
) -> Tensor:
    """Evaluate a net whose units are rectified, all but its outputs.

    Parameters
    ----------
    layers
        The layers; if there is one more weight than biases, it is a linear map from x to the outputs, with
        the blocks of the last of the `layers`.
    x
        Shape ``(rows, inputs)``.
    tensors
        Weight and bias of every layer, then the weight of the linear map.
    masks
        One per weight, or none.
    plain
        The same function of ``(x, *tensors)``, composed of operators that autograd can differentiate twice.

    Returns
    -------
    Tensor
        Shape ``(rows, outputs)``; the transpose of it is contiguous.
    """
    if torch.is_grad_enabled() and any(each.requires_grad for each in (x, *tensors)):
        found: Tensor = _Dense.apply(layers, masks, plain, x, *tensors)  # type: ignore[no-untyped-call]
        return found
    return _forward(layers, x.t().contiguous(), _masked(tensors, masks))[-1].t()


def _masked(tensors: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
    if not masks:
        return list(tensors)
    found = list(tensors)
    for index, mask in enumerate(masks):
        found[2 * index] = tensors[2 * index] * mask
    return found


def _forward(layers: Sequence[DenseLayer], x: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the inputs, all hidden layers and the outputs, units first."""
    skip = tensors[2 * len(layers)] if len(tensors) > 2 * len(layers) else None
    values = [x]
    for index, layer in enumerate(layers):
        weight, bias = tensors[2 * index : 2 * index + 2]
        y = x.new_empty(len(weight), x.shape[1])
        bias = bias.unsqueeze(1)
        for block in layer.blocks:
            units = slice(block.first, block.last)
            out = y[units]
            torch.addmm(bias[units], weight[units, : block.inputs], values[-1][: block.inputs], out=out)
            if index < len(layers) - 1:
                out.relu_()
            elif skip is not None:
                out.addmm_(skip[units], x)
        values.append(y)
    return values


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layers: Sequence[DenseLayer],
        masks: Sequence[Tensor],
        plain: Callable[..., Tensor],
        x: Tensor,
        *tensors: Tensor,
    ) -> Tensor:
        *values, y = _forward(layers, x.t().contiguous(), _masked(tensors, masks))
        ctx.layers, ctx.masks, ctx.plain = layers, masks, plain
        ctx.save_for_backward(x, *tensors, *values)
        return y.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # Raises an error of its own if one of them was changed in place.
        needed = ctx.needs_input_grad[3:]
        saved, values = ctx.saved_tensors[: len(needed)], ctx.saved_tensors[len(needed) :]
        if torch.is_grad_enabled():
            # The gradient itself is to be differentiated.
            with torch.enable_grad():
                y = ctx.plain(*saved)
                wanted = [each for each, need in zip(saved, needed, strict=True) if need]
                found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True, allow_unused=True))
            return None, None, None, *(next(found) if need else None for need in needed)
        return (
            None,
            None,
            None,
            *_backward(ctx.layers, ctx.masks, (saved[1:], values), gradient.t().contiguous(), needed),
        )


def _backward(
    layers: Sequence[DenseLayer],
    masks: Sequence[Tensor],
    saved: tuple[Sequence[Tensor], Sequence[Tensor]],
    gradient: Tensor,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    tensors, values = _masked(saved[0], masks), saved[1]
    x = values[0]
    found: list[Tensor | None] = [None] * (1 + len(tensors))
    of_x = None
    if len(tensors) > 2 * len(layers):
        skip = tensors[-1]
        if needed[-1]:
            found[-1] = _times_mask(gradient @ x.t(), masks, len(layers))
        if needed[0]:
            of_x = skip.t() @ gradient
    for index in reversed(range(len(layers))):
        layer, inputs = layers[index], values[index]
        if needed[1 + 2 * index]:
            of_weight = _weight_gradient(layer, gradient, inputs)
            found[1 + 2 * index] = _times_mask(of_weight, masks, index)
        if needed[2 + 2 * index]:
            found[2 + 2 * index] = gradient.sum(1)
        if index:
            gradient = _input_gradient(layer, gradient, tensors[2 * index])
            torch.ops.aten.threshold_backward.grad_input(gradient, inputs, 0.0, grad_input=gradient)
        elif needed[0]:
            own = _input_gradient(layer, gradient, tensors[0])
            found[0] = (own if of_x is None else own.add_(of_x)).t()
    return found


def _times_mask(weight: Tensor, masks: Sequence[Tensor], index: int) -> Tensor:
    return weight.mul_(masks[index]) if masks else weight


def _weight_gradient(layer: DenseLayer, gradient: Tensor, inputs: Tensor) -> Tensor:
    found = gradient.new_empty(len(gradient), len(inputs))
    turned = inputs.t()
    for block in layer.blocks:
        units = slice(block.first, block.last)
        torch.mm(gradient[units], turned[:, : block.inputs], out=found[units, : block.inputs])
        found[units, block.inputs :] = 0.0
    return found


def _input_gradient(layer: DenseLayer, gradient: Tensor, weight: Tensor) -> Tensor:
    *others, last = layer.blocks
    found = gradient.new_empty(weight.shape[1], gradient.shape[1])
    turned = weight.t()
    part = found[: last.inputs]
    torch.mm(turned[: last.inputs, last.first : last.last], gradient[last.first : last.last], out=part)
    found[last.inputs :] = 0.0
    for block in others:
        units = slice(block.first, block.last)
        found[: block.inputs].addmm_(turned[: block.inputs, units], gradient[units])
    return found
