"""Newton's method on the diagonal of a triangular map, guarded by brackets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from logpx.transforms.fixed_point import ROUNDINGS

__all__ = ["GuardedNewton"]

Equations = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


class GuardedNewton:
    r"""Sweeps :math:`x \leftarrow x - (f(x) - z) / \operatorname{diag} J`, with a guard that makes them end.

    While its predecessors still move, an element takes Newton steps inside a bracket that holds for any
    predecessors. Once they stand still, its equation is an increasing function of one number: each
    evaluation then tightens its bracket, and a Newton step that leaves the bracket, or does not halve the
    residual, is replaced by a bisection. An element that solves its equation stands still itself, so at
    worst the elements converge one after another.

    Parameters
    ----------
    equations
        From x to the residual f(x) - z, the magnitude of its terms, and the positive diagonal of the
        Jacobian; all of the shape of x, ``(*rows, elements)``, with the elements in triangular order.
    lower, upper
        Bounds of the solution, whatever the other elements are.

    Examples
    --------
    >>> from logpx.transforms.fixed_point import solve
    >>> def equations(x):  # x + 9 tanh(x) = 2, for which bare Newton steps from 5 diverge
    ...     h = torch.tanh(x)
    ...     return x + 9.0 * h - 2.0, 10.0 + x.abs(), 1.0 + 9.0 * (1.0 - h * h)
    >>> sweep = GuardedNewton(equations, torch.tensor([-7.0]), torch.tensor([11.0]))
    >>> x, certificate = solve(sweep, torch.tensor([5.0]), event_dims=1, limit=50)
    >>> bool((x + 9.0 * torch.tanh(x) - 2.0).abs() < 1e-4)
    True
    """

    def __init__(self, equations: Equations, lower: Tensor, upper: Tensor) -> None:
        self.equations = equations
        self.bounds = lower, upper
        self.lower, self.upper = lower, upper
        self.settled = torch.zeros_like(lower, dtype=torch.bool)
        self.settled[..., 0] = True
        self.previous = torch.full_like(lower, torch.inf)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the residual, the magnitude of its terms and the next x: a step for `solve`."""
        residual, magnitude, diagonal = self.equations(x)
        lower = torch.where(self.settled & (residual < 0.0), x, self.lower)
        upper = torch.where(self.settled & (residual > 0.0), x, self.upper)
        newton = x - residual / diagonal
        size = residual.abs()
        good = (newton > lower) & (newton < upper) & (size <= 0.5 * self.previous)
        alone = torch.where(good, newton, 0.5 * lower + 0.5 * upper)
        solved = size <= ROUNDINGS * torch.finfo(x.dtype).eps * magnitude
        clamped = torch.maximum(torch.minimum(newton, self.bounds[1]), self.bounds[0])
        proposal = torch.where(self.settled, torch.where(solved, x, alone), clamped)
        moves = (proposal != x).cumsum(-1)
        standing = (moves - (proposal != x).to(moves.dtype)) == 0
        # When all elements are solved, a step of all may remove the last residuals; `solve` keeps the best.
        proposal = torch.where(solved.all(-1, keepdim=True), clamped, proposal)
        # A bracket, and the residual to halve, are valid only while all preceding elements stand still.
        keep = standing & self.settled
        self.lower = torch.where(keep, lower, self.bounds[0])
        self.upper = torch.where(keep, upper, self.bounds[1])
        self.previous = torch.where(keep, size, torch.inf)
        self.settled = standing
        return residual, magnitude, proposal
