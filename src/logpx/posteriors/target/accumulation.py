"""Sums of many functions in the memory of one: value, gradient and second derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["accumulated"]

Part = Callable[..., Tensor]


def accumulated(parts: Iterable[Part], *inputs: Tensor) -> Tensor:
    """Return the sum of functions of the same tensors; it can be differentiated twice.

    No graph is kept: every derivative evaluates the functions again, one after another.

    Parameters
    ----------
    parts
        The functions, an iterable that can be gone through several times; each returns the same shape.
    inputs
        The tensors.

    References
    ----------
    Chen, Xu, Zhang and Guestrin 2016, Training deep nets with sublinear memory cost.
    https://arxiv.org/abs/1604.06174

    Examples
    --------
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> total = accumulated([lambda x, k=k: (k * x**2).sum() for k in (1.0, 2.0)], x)
    >>> total.item(), torch.autograd.grad(total, x)[0]
    (15.0, tensor([ 6., 12.]))
    """
    total: Any = _Sum.apply
    found: Tensor = total(parts, *inputs)
    return found


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: Iterable[Part], *inputs: Tensor) -> Tensor:
        ctx.parts = parts
        ctx.save_for_backward(*inputs)
        return _added(part(*inputs) for part in parts)

    @staticmethod
    def backward(ctx: Any, *weight: Tensor) -> Any:
        slopes: Any = _Slopes.apply
        return None, *slopes(ctx.parts, *weight, *ctx.saved_tensors)


class _Slopes(torch.autograd.Function):
    """The gradient of the weighted sum with respect to its inputs, as a function of weight and inputs."""

    @staticmethod
    def forward(ctx: Any, parts: Iterable[Part], weight: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.parts = parts
        ctx.save_for_backward(weight, *inputs)
        totals = [torch.zeros_like(tensor) for tensor in inputs]
        for part in parts:
            _, slopes = _differentiated(part, weight, inputs, again=False)
            for total, slope in zip(totals, slopes, strict=True):
                total += slope
        return tuple(totals)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *directions: Tensor) -> Any:
        weight, *inputs = ctx.saved_tensors
        totals = [torch.zeros_like(tensor) for tensor in ctx.saved_tensors]
        for part in ctx.parts:
            with torch.enable_grad():
                free = weight.detach().requires_grad_()
                copies, slopes = _differentiated(part, free, inputs, again=True)
                along = _added((slope * way).sum() for slope, way in zip(slopes, directions, strict=True))
            found = torch.autograd.grad(along, [free, *copies], materialize_grads=True)
            for total, slope in zip(totals, found, strict=True):
                total += slope
        return None, *totals


def _differentiated(
    part: Part, weight: Tensor, inputs: Iterable[Tensor], again: bool
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Return copies of the inputs, and the gradient of the weighted function with respect to them."""
    with torch.enable_grad():
        copies = [tensor.detach().requires_grad_() for tensor in inputs]
        slopes = torch.autograd.grad(
            part(*copies), copies, weight, create_graph=again, materialize_grads=True
        )
    return copies, slopes


def _added(values: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, values)
