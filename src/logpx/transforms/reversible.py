"""A chain that recomputes its activations instead of keeping them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from logpx.errors import UsageError
from logpx.transforms.base import context_of
from logpx.transforms.chain import Chain

__all__ = ["ReversibleChain"]

_Map = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class _Step:
    """One map of the chain in the direction that was called, its reverse, and its module."""

    there: _Map
    back: _Map
    module: nn.Module

    def parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]


class _Recomputed(torch.autograd.Function):
    """Composition whose backward pass finds the input of every step from its output."""

    @staticmethod
    def forward(
        ctx: Any, steps: Sequence[_Step], x: Tensor, context: Tensor | None, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        y, total = steps[0].there(x, context_of(steps[0].module, context))
        for step in steps[1:]:
            y, ladj = step.there(y, context_of(step.module, context))
            total = total + ladj
        ctx.steps = steps
        ctx.save_for_backward(y, context)
        # Parameters are not saved here, because the modules own them; so autograd does not watch for changes.
        ctx.parameters = parameters
        ctx.versions = [parameter._version for parameter in parameters]
        return y, total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, ladj_gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UsageError(
                "a reversible chain is differentiable once, but a derivative of its gradient was requested",
                fix="leave create_graph=True out, or use Chain",
            )
        if [parameter._version for parameter in ctx.parameters] != ctx.versions:
            raise UsageError(
                "parameters of a reversible chain were changed between its forward and its backward pass",
                fix="call backward before the optimiser's step, or use Chain",
            )
        y, context = ctx.saved_tensors
        sums: dict[Tensor, Tensor] = {}
        context_gradient: Tensor | None = None
        for step in reversed(ctx.steps):
            with torch.no_grad():
                x, _ = step.back(y, context_of(step.module, context))
            y = x
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                own_context = context
                wanted = [x, *step.parameters()]
                if ctx.needs_input_grad[2]:
                    own_context = context.detach().requires_grad_()
                    wanted.append(own_context)
                outputs = [
                    (value, of_value)
                    for value, of_value in zip(
                        step.there(x, context_of(step.module, own_context)),
                        (gradient, ladj_gradient),
                        strict=True,
                    )
                    if value.requires_grad
                ]
            values, of_values = zip(*outputs, strict=True)
            gradients = list(torch.autograd.grad(values, wanted, of_values, materialize_grads=True))
            if own_context is not context:
                of_context = gradients.pop()
                context_gradient = of_context if context_gradient is None else context_gradient + of_context
            gradient = gradients[0]
            for parameter, found in zip(wanted[1:], gradients[1:], strict=False):
                sums[parameter] = sums[parameter] + found if parameter in sums else found
        x_gradient = gradient if ctx.needs_input_grad[1] else None
        return (None, x_gradient, context_gradient, *(sums.get(parameter) for parameter in ctx.parameters))


class ReversibleChain(Chain):
    """A `Chain` that keeps no activations for the backward pass, so that memory does not grow with depth.

    The backward pass goes through the transforms from last to first, finds the input of each from its output
    by the transform's inverse, and evaluates the transform once more: two more evaluations per transform than
    `Chain`. Values are those of `Chain`; so are gradients, as exactly as the transforms are inverted.

    It suits transforms whose inverse is about as cheap as they are, such as couplings. It is differentiable
    once. Under autocast it runs as a plain `Chain`, because low-precision inverses would be too inexact.

    Parameters
    ----------
    transforms
        At least one transform; all of the same event shape.

    References
    ----------
    Gomez et al. 2017, The Reversible Residual Network: backpropagation without storing activations.
    https://arxiv.org/abs/1707.04585

    Examples
    --------
    >>> import torch
    >>> from logpx.transforms import Coupling
    >>> chain = ReversibleChain([Coupling(4, hidden=(8,), flip=flip) for flip in (False, True)])
    >>> z, ladj = chain.forward(torch.ones(5, 4))
    >>> ladj.sum().backward()
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the transforms from first to last; the ladjs add up."""
        if self._plainly(x):
            return super().forward(x, context)
        return self._recomputed([_Step(t.forward, t.inverse, t) for t in self.transforms], x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inverses from last to first; the ladjs add up."""
        if self._plainly(z):
            return super().inverse(z, context)
        return self._recomputed(
            [_Step(t.inverse, t.forward, t) for t in reversed(self.transforms)], z, context
        )

    def _plainly(self, x: Tensor) -> bool:
        kind = x.device.type
        autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        return autocast or not torch.is_grad_enabled()

    def _recomputed(self, steps: list[_Step], x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        y, ladj = _Recomputed.apply(steps, x, context, *parameters)  # type: ignore[no-untyped-call]
        return y, ladj
