"""What functions of one number share that are one step of autograd each, with a gradient of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["differentiable_gradients", "is_transposed", "laid_out_like", "suits_node"]

# For fewer elements, the number of operators matters more than what they do.
_FEW = 2048


def is_transposed(params: Tensor) -> bool:
    """Return whether parameters lie as nets return them: the values of one of them for all rows together."""
    return params.dim() == 3 and params.stride(0) == 1 and params.stride(2) != 1


def laid_out_like(x: Tensor, params: Tensor) -> Tensor:
    """Return the same numbers in memory as their parameters are, so that operators go through both alike."""
    return x.t().contiguous().t() if is_transposed(params) and x.dim() == 2 else x


def suits_node(x: Tensor, params: Tensor) -> bool:
    """Return whether an evaluation may be one step: not in a graph, a transform, or mixed precision."""
    return not (
        torch.compiler.is_compiling()
        or x.numel() < _FEW
        or x.device.type != "cpu"
        or x.dtype != params.dtype
        or x.dtype not in (torch.float32, torch.float64)
        or x.shape != params.shape[:-1]
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
    )


def differentiable_gradients(
    ctx: Any,
    composed: Callable[..., tuple[Tensor, Tensor]],
    inputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """Return gradients that can be differentiated themselves, by way of operators of torch.

    Parameters
    ----------
    ctx
        What `torch.autograd.Function` passes to `backward`; the inputs come first among the arguments.
    composed
        The function of the inputs, composed of operators.
    inputs, gradients
        The inputs that were saved, and the gradients of the outputs.
    """
    needed = ctx.needs_input_grad[: len(inputs)]
    wanted = [each for each, need in zip(inputs, needed, strict=True) if need]
    with torch.enable_grad():
        found = iter(
            torch.autograd.grad(
                composed(*inputs), wanted, gradients, create_graph=True, materialize_grads=True
            )
        )
    return tuple(next(found) if need else None for need in needed)
