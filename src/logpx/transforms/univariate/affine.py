"""Affine functions of one number: shift, and shift with a bounded scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_number
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.nodes import (
    differentiable_gradients,
    is_transposed,
    laid_out_like,
    suits_node,
)

__all__ = ["AffineFunction", "ShiftFunction"]


class ShiftFunction(Univariate):
    r""":math:`z = x - \mu`: volume-preserving, as in NICE.

    References
    ----------
    Dinh, Krueger and Bengio 2014, NICE: Non-linear Independent Components Estimation.
    https://arxiv.org/abs/1410.8516

    Examples
    --------
    >>> import torch
    >>> ShiftFunction()(torch.tensor([3.0]), torch.tensor([[1.0]]))
    (tensor([2.]), tensor([0.]))
    """

    parameters = 1

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Shift every element; the log-derivative is 0."""
        x = laid_out_like(x, params)
        shift = params[..., 0]
        return (x + shift if inverse else x - shift), torch.zeros_like(x)


class AffineFunction(Univariate):
    r""":math:`z = (x - \mu) e^{-\alpha}` with a log-scale that is bounded by construction.

    The second parameter a gives :math:`\alpha = a / (1 + |a| / b)`, which stays inside (-b, b), so a stack
    of many layers cannot explode, whatever its conditioners return.

    Parameters
    ----------
    bound
        The bound b of the log-scale; the default lets one layer scale by a factor of up to 1000.

    Examples
    --------
    >>> import torch
    >>> AffineFunction()(torch.tensor([3.0]), torch.tensor([[1.0, 0.0]]))
    (tensor([2.]), tensor([-0.]))
    """

    parameters = 2

    def __init__(self, bound: float = 6.907755278982137) -> None:
        check_number("bound", bound, above=0.0)
        self.bound = bound

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Shift and scale every element."""
        if not is_transposed(params):
            return self._composed(x, params, inverse)
        x = laid_out_like(x, params)
        if suits_node(x, params):
            found: tuple[Tensor, Tensor] = _Affine.apply(x, params, self._composed, self.bound, inverse)  # type: ignore[no-untyped-call]
            return found
        return self._composed(x, params, inverse)

    def _composed(self, x: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        shift, raw = params.unbind(-1)
        sign = 1.0 if inverse else -1.0
        # The sign, and the sum with |a| / b of that sign, as one operator.
        log_derivative = raw / torch.rsub(raw.abs(), sign, alpha=-sign / self.bound)
        y = torch.addcmul(shift, x, log_derivative.exp()) if inverse else (x - shift) * log_derivative.exp()
        return y, log_derivative if log_derivative.shape == x.shape else log_derivative.expand_as(x)


class _Affine(torch.autograd.Function):
    """The same as one step of autograd, of which the gradient needs few passes over memory."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        params: Tensor,
        composed: Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]],
        bound: float,
        inverse: bool,
    ) -> tuple[Tensor, Tensor]:
        shift, raw = params.unbind(-1)
        # Of a / (1 + |a| / b) the derivative is the square of this.
        share = (raw.abs() * (1.0 / bound)).add_(1.0).reciprocal_()
        log_derivative = raw * share
        if not inverse:
            log_derivative.neg_()
        derivative = log_derivative.exp()
        stretched = x * derivative if inverse else (x - shift).mul_(derivative)
        ctx.composed, ctx.inverse = composed, inverse
        ctx.parts = share, derivative
        y = shift + stretched if inverse else stretched
        ctx.save_for_backward(x, params, stretched if inverse else y)
        return y, log_derivative

    @staticmethod
    def backward(ctx: Any, of_y: Tensor, of_log: Tensor) -> tuple[Tensor | None, ...]:
        # Raises an error of its own if one of them was changed in place.
        x, params, stretched = ctx.saved_tensors
        if torch.is_grad_enabled():
            composed = ctx.composed
            of_x, of_params = differentiable_gradients(
                ctx, lambda x, params: composed(x, params, ctx.inverse), (x, params), (of_y, of_log)
            )
            return of_x, of_params, None, None, None
        share, derivative = ctx.parts
        of_x = of_y * derivative
        of_params = torch.empty_like(params)
        of_shift, of_raw = of_params.unbind(-1)
        torch.addcmul(of_log, of_y, stretched, out=of_raw)
        of_raw.mul_(share).mul_(share)
        if ctx.inverse:
            of_shift.copy_(of_y)
        else:
            torch.neg(of_x, out=of_shift)
            of_raw.neg_()
        return of_x, of_params, None, None, None
