"""A masked net without autograd, evaluated as its inputs become known, in memory that is set aside once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from logpx.nets.layers import ContextLinear

__all__ = ["Sweep", "needs_no_graph"]

# So many inputs become known between two products over all that was known before.
_INPUTS_AT_ONCE = 8


def needs_no_graph(rows: torch.Size, like: Tensor) -> bool:
    """Return whether nothing that follows a computation step by step is at work."""
    return not (
        torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or len(rows) != 1
        or like.device.type != "cpu"
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
    )


class Sweep:
    """The units of a masked net that are complete so far, units first and the rows of data last.

    What the inputs known before a block of inputs contribute to its units is one wide product for each
    layer; within the block every unit adds only what became known since.

    Parameters
    ----------
    layers
        The hidden layers and the output layer.
    skip
        The weight from inputs to outputs.
    known
        Of each layer but the last, its inputs first, and each number of inputs: how many units they complete.
    activation
        Of the hidden layers.
    rows
        The shape of a unit.
    context
        As the layers see it.
    """

    def __init__(
        self,
        layers: Sequence[ContextLinear],
        skip: Tensor,
        known: Sequence[Sequence[int]],
        *,
        activation: Callable[[Tensor], Tensor],
        rows: torch.Size,
        context: Tensor | None,
    ) -> None:
        self._layers, self._skip, self._activation = layers, skip, activation
        self._offsets = [_offset(layer, context) for layer in layers]
        self._steps = len(known[0]) - 1
        each = len(skip) // self._steps
        # How many units are complete before each step: those of degree k see k inputs, and wait for step k.
        self._complete = [
            known[0],
            *([0, *of] for of in known[1:]),
            [each * k for k in range(self._steps + 1)],
        ]
        sizes = [[after - before for before, after in pairwise(of)] for of in self._complete]
        self._units = [skip.new_empty(of[-1], *rows) for of in self._complete]
        self._of_step = [torch.split(units, each) for units, each in zip(self._units, sizes, strict=True)]
        self._weights = [
            torch.split(layer.weight, each) for layer, each in zip(layers, sizes[1:], strict=True)
        ]
        self._skips = torch.split(skip, sizes[-1])
        self._block = 0, 0

    def outputs(self, step: int) -> Tensor:
        """Return the outputs of an input, ``(parameters, *rows)``, once all inputs before it are there."""
        if step == self._block[1]:
            self._begin(step)
        first, last = self._block[0], len(self._layers) - 1
        for index, complete in enumerate(self._complete[:-1]):
            units = self._of_step[index + 1][step]
            if not len(units):
                continue
            # Hidden units of this step's degree are complete by now, and so are the inputs before it.
            before, now = complete[first], complete[step + 1 if index else step]
            if before < now:
                units.addmm_(self._weights[index][step][:, before:now], self._units[index][before:now])
            if index < last:
                activated = self._activation(units)
                if activated.data_ptr() != units.data_ptr():
                    units.copy_(activated)
        before, now = self._complete[0][first], self._complete[0][step]
        if before < now:
            units.addmm_(self._skips[step][:, before:now], self._units[0][before:now])
        return units

    def add(self, step: int, seen: Tensor) -> None:
        """Take what the net sees of an input, shape ``(numbers, *rows)``."""
        self._of_step[0][step].copy_(seen)

    def all_outputs(self) -> Tensor:
        """Return the outputs of all inputs, shape ``(outputs, *rows)``."""
        return self._units[-1]

    def _begin(self, start: int) -> None:
        """Write what earlier inputs contribute to the units of the next block."""
        stop = min(start + _INPUTS_AT_ONCE, self._steps)
        self._block = start, stop
        for index, layer in enumerate(self._layers):
            known = self._complete[index][start]
            own = slice(self._complete[index + 1][start], self._complete[index + 1][stop])
            units = self._units[index + 1][own]
            weight = layer.weight[own, :known]
            torch.addmm(self._offsets[index][own], weight, self._units[index][:known], out=units)
        known = self._complete[0][start]
        units.addmm_(self._skip[own, :known], self._units[0][:known])


def _offset(layer: ContextLinear, context: Tensor | None) -> Tensor:
    """Return what the outputs of a layer are without inputs, units first: for all rows, or for each."""
    if layer.context_weight is None:
        return layer.bias.unsqueeze(1)
    of_context = layer.of_context(context, slice(None))
    return layer.bias.unsqueeze(1) + of_context.reshape(-1, len(layer.bias)).t()
