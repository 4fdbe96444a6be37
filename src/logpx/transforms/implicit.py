"""Gradients of an inverse that was found by iteration, by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from logpx.transforms.fixed_point import solve

__all__ = ["Evaluate", "differentiable_inverse"]

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


def differentiable_inverse(
    evaluate: Evaluate, x: Tensor, z: Tensor, sources: Iterable[Tensor | None], event_dims: int
) -> tuple[Tensor, Tensor]:
    r"""Return the solution x of :math:`f(x) = z`, and the ladj of the inverse, with their gradients.

    Differentiating :math:`f(x(z, \theta), \theta) = z` gives, for a cotangent g of x, the linear equations
    :math:`J^\top v = g`; then v is the cotangent of z, and :math:`-v` that of f's other arguments. J is
    triangular with a known diagonal, so the same iteration solves them, using only products of vectors with
    J. Autograd keeps one evaluation of f, however many iterations x took. The result can be differentiated
    once.

    Parameters
    ----------
    evaluate
        The map: from x to f(x) and the logarithm of the diagonal of its Jacobian, both of the shape of x.
    x
        The solution, shape ``(*rows, *event)``; needs no graph.
    z
        The right-hand side.
    sources
        Other tensors that may need a gradient: the context and the parameters of f; None is skipped.
    event_dims
        How many trailing dimensions belong to one row.

    Returns
    -------
    x : Tensor
        The values given, differentiable in `z` and `sources`.
    ladj : Tensor
        The log absolute determinant of the inverse at z, in nats, one number per row.

    References
    ----------
    Bai, Kolter and Koltun 2019, Deep Equilibrium Models, theorem 1.
    https://arxiv.org/abs/1909.01377

    Examples
    --------
    >>> z = torch.tensor([[8.0]], requires_grad=True)
    >>> cube_root, ladj = differentiable_inverse(
    ...     lambda x: (x**3, torch.log(3.0 * x**2)), torch.tensor([[2.0]]), z, [], event_dims=1
    ... )
    >>> torch.autograd.grad(cube_root.sum(), z)[0]  # 1 / (3 x²)
    tensor([[0.0833]])
    """
    traced = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (z, *sources))
    at = x.detach().requires_grad_(traced)
    value, log_diagonal = evaluate(at)
    ladj = log_diagonal.flatten(-event_dims).sum(-1)
    if not traced:
        return at, -ladj
    solution, ladj = _Implicit.apply(  # type: ignore[no-untyped-call]
        z, value, ladj, at, log_diagonal.detach(), event_dims
    )
    return solution, -ladj


class _Implicit(torch.autograd.Function):
    """Give x and the ladj of f the gradients of functions of z and of f's other arguments."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, value: Tensor, ladj: Tensor, at: Tensor, log_diagonal: Tensor, event_dims: int
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(value, ladj, at, log_diagonal)
        ctx.event_dims = event_dims
        return at.clone(), ladj.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_x: Tensor, of_ladj: Tensor) -> tuple[Tensor | None, ...]:
        value, ladj, at, log_diagonal = ctx.saved_tensors
        if ladj.requires_grad:
            (through_x,) = torch.autograd.grad(ladj, at, of_ladj, retain_graph=True, materialize_grads=True)
            of_x = of_x + through_x
        v = _solve_transposed(value, at, of_x, log_diagonal.exp(), ctx.event_dims)
        return v, -v, of_ladj, None, None, None


def _solve_transposed(value: Tensor, at: Tensor, target: Tensor, diagonal: Tensor, event_dims: int) -> Tensor:
    """Solve J' v = target for the Jacobian J of value at `at`."""
    # A gradient that is not finite is passed on, as everywhere in autograd; the training loop checks it.
    finite = torch.isfinite(target)
    known = target.where(finite, 0.0)

    def step(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (product,) = torch.autograd.grad(value, at, v, retain_graph=True)
        residual = product - known
        terms = (known.abs() + (diagonal * v).abs()).flatten(-event_dims)
        # An element of the product sums over the row, so its rounding error is that of the row.
        largest = terms.amax(-1).view(*terms.shape[:-1], *[1] * event_dims).expand_as(v)
        return residual, largest, v - residual / diagonal

    # Exact after as many sweeps as there are elements; a few more let rounding errors settle.
    limit = at.shape[-event_dims:].numel() + 16
    v, _ = solve(step, known / diagonal, event_dims, limit, "the gradient of the inverse")
    return v.where(finite, torch.nan)
