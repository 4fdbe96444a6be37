"""The inverse of a triangular map by iteration, with a certificate of convergence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.errors import NotConvergedError
from logpx.representations import Shown

__all__ = ["ROUNDINGS", "Certificate", "Step", "solve"]

# A residual is accepted up to this many rounding errors of the terms whose difference it is.
ROUNDINGS = 64.0

Step = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True, repr=False)
class Certificate(Shown):
    """How well an iteration solved its equations.

    Attributes
    ----------
    iterations : int
        The number of evaluations of the equations.
    residual : float
        The largest difference between the two sides of an equation, over all elements of all rows.
    roundings : float
        The largest difference in units of the rounding error of the equation's own terms. The iteration
        continues until this is at most `ROUNDINGS`.
    """

    iterations: int
    residual: float
    roundings: float


def solve(
    step: Step, start: Tensor, event_dims: int, limit: int, name: str = "the inverse"
) -> tuple[Tensor, Certificate]:
    r"""Iterate :math:`x \leftarrow g(x)` until every row solves its equations to rounding.

    For a triangular map, whose output i depends only on inputs up to i, each sweep makes one more element
    exact, whatever the others do: the number of sweeps is bounded by the number of elements, and usually
    much smaller. A row that has converged is left unchanged, so its result does not depend on other
    rows. No autograd graph is kept.

    Parameters
    ----------
    step
        Called with x of the shape of `start`; returns, in the same shape, the residual of every equation at
        x, the magnitude of the terms whose difference it is, and the next x.
    start
        The first x, shape ``(*rows, *event)``.
    event_dims
        How many trailing dimensions belong to one row.
    limit
        The largest number of calls of `step`.
    name
        What did not converge, for the error message.

    Returns
    -------
    x : Tensor
        Where the residuals are at most `ROUNDINGS` × machine precision × magnitude.
    certificate : Certificate
        The number of iterations, and the residual that is left.

    Raises
    ------
    NotConvergedError
        If a row has not converged within `limit`, or starts from a value that is not finite.

    References
    ----------
    Song, Meng and Ermon 2019, MintNet, section 3.3; Song et al. 2021, Accelerating Feedforward Computation
    via Parallel Nonlinear Equation Solving, section 3.
    https://arxiv.org/abs/1907.07945

    Examples
    --------
    >>> def step(x):  # x0 = 1, x1 = x0 + 1
    ...     next_x = torch.stack([torch.ones_like(x[..., 0]), x[..., 0] + 1.0], -1)
    ...     return x - next_x, 1.0 + x.abs(), next_x
    >>> solve(step, torch.zeros(2), event_dims=1, limit=3)
    (tensor([1., 2.]), Certificate(iterations=3, residual=0, roundings=0))
    """
    x = start.detach()
    # Nothing to iterate without rows, or with shapes but no values.
    if x.is_meta or not x.numel():
        return x, Certificate(0, 0.0, 0.0)
    precision, smallest = torch.finfo(x.dtype).eps, torch.finfo(x.dtype).tiny
    # Far beyond any meaningful value, but the sums that a net forms of it still fit.
    largest = torch.finfo(x.dtype).max ** 0.5
    ones = [1] * event_dims
    best, residual = x, torch.full_like(x, torch.nan)
    fewest = last = torch.full_like(x.flatten(-event_dims)[..., 0], torch.inf)
    iteration = 0
    with torch.no_grad():
        finite = bool(torch.isfinite(x).all())
        while finite and iteration < limit:
            found, magnitude, proposal = step(x)
            iteration += 1
            # Where all terms are 0, so is their difference.
            rounding = (precision * magnitude).clamp_min(smallest)
            left = (found.abs() / rounding).flatten(-event_dims).amax(-1)
            better = (left < fewest).view(*left.shape, *ones)
            best, residual = torch.where(better, x, best), torch.where(better, found, residual)
            # Within the tolerance, a row continues as long as a sweep halves the residual.
            finished = ((fewest <= ROUNDINGS) & (left > 0.5 * last)) | (left <= 1.0)
            fewest = torch.fmin(left, fewest)
            if finished.all():
                break
            last = left
            # Inexact earlier elements may push an element out of range. A later sweep corrects it, unless
            # infinity has meanwhile spread to every sum of the row.
            proposal = proposal.nan_to_num(0.0, largest, -largest)
            x = torch.where(finished.view(*left.shape, *ones), x, proposal)
        if bool((fewest <= ROUNDINGS).all()):
            return best, Certificate(iteration, residual.abs().max().item(), fewest.max().item())
    fewest = fewest.where(torch.isfinite(start).flatten(-event_dims).all(-1), torch.nan)
    raise _not_converged(name, residual.flatten(-event_dims), fewest, iteration)


def _not_converged(name: str, residual: Tensor, fewest: Tensor, iterations: int) -> NotConvergedError:
    row = int(fewest.nan_to_num(torch.inf).flatten().argmax())
    left = residual.reshape(fewest.numel(), -1)[row].abs().max().item()
    return NotConvergedError(
        f"{name} did not converge: after {iterations} iterations a residual of {left:.3g} is left, "
        f"more than {ROUNDINGS:.0f} times its rounding error",
        row=row + 1,
        fix="use float64, and check that the map is triangular and its inputs and parameters are finite",
    )
