"""Pieces that the conditioner networks share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count, is_whole
from logpx.errors import UsageError

__all__ = [
    "ACTIVATIONS",
    "DAMPING",
    "ContextLinear",
    "activation_function",
    "check_widths",
    "damp",
    "damp_context",
    "overwriting_activation",
    "soft_bound",
    "squash",
]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "elu": functional.elu,
}

_DAMPED_TO = 15.0
# The factor between what `squash` and `damp` return.
DAMPING = _DAMPED_TO * 2.0 / math.pi


def activation_function(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation function with the given name.

    Raises
    ------
    UsageError
        If the name is not one of `ACTIVATIONS`.

    Examples
    --------
    >>> activation_function("tanh")(torch.zeros(1))
    tensor([0.])
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise UsageError(
            f"unknown activation {name!r}", fix=f"choose one of {', '.join(sorted(ACTIVATIONS))}"
        )
    return ACTIVATIONS[name]


def overwriting_activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation function with the given name, in a form that may overwrite its input.

    For the output of a linear layer, which nothing else uses. It saves a training step one tensor per layer.

    Examples
    --------
    >>> overwriting_activation("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return torch.relu_ if name == "relu" else activation_function(name)


def check_widths(hidden: Sequence[int]) -> None:
    """Refuse widths of hidden layers that are not a sequence of positive whole numbers.

    Raises
    ------
    UsageError
        Naming the value.
    """
    if not isinstance(hidden, Sequence) or any(not is_whole(width) or width < 1 for width in hidden):
        raise UsageError(
            f"hidden is {hidden!r}, where widths of layers were expected", fix="give, say, (64, 64)"
        )


def soft_bound(x: Tensor, bound: float) -> Tensor:
    r"""Return :math:`s \arctan(x / s)` with :math:`s = 2b / \pi`: inside (-b, b), and x itself near 0.

    Large values stay apart (the bound is approached like 1/x), and autograd needs fewer passes over memory
    than for :math:`x / (1 + |x| / b)`.

    Examples
    --------
    >>> soft_bound(torch.tensor([0.0, 1.0, 1e30]), 30.0)
    tensor([ 0.0000,  0.9991, 30.0000])
    """
    scale = bound * 2.0 / math.pi
    return torch.atan(x * (1.0 / scale)) * scale


def damp(x: Tensor) -> Tensor:
    """Return inputs as a conditioner sees them: bounded by 15, and hardly changed in the bulk.

    So one extreme value cannot dominate the parameters of all other features.
    """
    return soft_bound(x, _DAMPED_TO)


def squash(x: Tensor) -> Tensor:
    """Return inputs as `damp` does, divided by `DAMPING`, which a product with weights takes in at no cost.

    Examples
    --------
    >>> bool(torch.allclose(squash(torch.tensor([0.5, 1e9])) * DAMPING, damp(torch.tensor([0.5, 1e9]))))
    True
    """
    return torch.atan(x * (1.0 / DAMPING))


def damp_context(context: Tensor | None) -> Tensor | None:
    """Return a context as a conditioner sees it; None stays None."""
    return None if context is None else damp(context)


class ContextLinear(nn.Module):
    """A linear layer of an input and, added to it, an optional context.

    Parameters
    ----------
    in_features, out_features
        Sizes; ``in_features`` may be 0.
    context
        The number of context features.
    zero
        Start with all weights 0.

    Raises
    ------
    UsageError
        If a size is not a whole number, or is negative.
    """

    def __init__(self, in_features: int, out_features: int, context: int = 0, zero: bool = False) -> None:
        super().__init__()
        check_count("in_features", in_features, least=0)
        check_count("out_features", out_features, least=0)
        check_count("context", context, least=0)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.context_weight = nn.Parameter(torch.empty(out_features, context)) if context else None
        bound = 0.0 if zero else 1.0 / math.sqrt(max(1, in_features + context))
        for parameter in self.parameters():
            if parameter.numel():
                nn.init.uniform_(parameter, -bound, bound)

    def masked_forward(
        self, x: Tensor, mask: Tensor | None, context: Tensor | None, factor: float = 1.0
    ) -> Tensor:
        """Apply the layer with its input weights multiplied by a 0/1 mask; the context is never masked."""
        weight = self.weight if mask is None else self.weight * mask
        if factor == 1.0:
            y = functional.linear(x, weight, self.bias)
        elif x.dim() == 2:
            # The product takes the factor in.
            y = torch.addmm(self.bias, x, weight.t(), alpha=factor)
        else:
            y = functional.linear(x * factor, weight, self.bias)
        return y if self.context_weight is None else y + self.of_context(context, slice(None))

    def of_context(self, context: Tensor | None, outputs: slice) -> Tensor:
        """Return what the context adds to some of the outputs.

        Raises
        ------
        UsageError
            If the context is missing.
        """
        if context is None or self.context_weight is None:
            raise UsageError("a conditional model was called without its context", fix="pass context=...")
        return functional.linear(context, self.context_weight[outputs])

    def forward(self, x: Tensor, context: Tensor | None = None, factor: float = 1.0) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        x
            Shape ``(*rows, in_features)``.
        context
            Shape ``(*rows, context)`` or ``(context,)``.
        factor
            What `x`, and not the context, is multiplied by.
        """
        return self.masked_forward(x, None, context, factor)
