"""The curvature at a mode, and Newton's method to reach the mode exactly."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from logpx.errors import DivergedError
from logpx.posteriors.target.target import Target

__all__ = [
    "at_least_uniform",
    "hessian",
    "hessians",
    "inverse_curvature",
    "log_mass",
    "polish",
    "precision_factor",
]

_NEWTON_STEPS = 20
_DIFFERENCE = 1e-4
_PROMISE = 1e-13


def hessian(target: Target, point: Tensor, jacobian: bool = True) -> Tensor:
    """Return the second derivatives of the log-density at a point ``(d,)``, shape ``(d, d)``.

    Found by differentiating twice, or by differences of the gradient where that fails.
    """

    def value(u: Tensor) -> Tensor:
        evaluate = target.log_prob if jacobian else target.without_jacobian
        return evaluate(u[None])[0]

    try:
        twice: Any = torch.autograd.functional.hessian
        found: Tensor = twice(value, point.detach())
        target.meter.gradients += len(point)
    except RuntimeError:
        found = torch.full((len(point), len(point)), torch.nan, dtype=point.dtype)
    if not bool(found.isfinite().all()):
        step = _DIFFERENCE * (1.0 + point.abs()).diag()
        _, slopes = target.value_and_gradient(torch.cat([point + step, point - step]), jacobian)
        above, below = slopes.chunk(2)
        found = (above - below) / (2.0 * step.diagonal())[:, None]
    symmetric: Tensor = 0.5 * (found + found.mT)
    return symmetric


def hessians(target: Target, points: Tensor) -> Tensor:
    """Return the second derivatives at several points ``(k, d)`` at once, shape ``(k, d, d)``."""
    given = points.detach().requires_grad_()
    try:
        with torch.enable_grad():
            (slopes,) = torch.autograd.grad(target.log_prob(given).sum(), given, create_graph=True)
            rows = [
                torch.autograd.grad(slopes[:, index].sum(), given, retain_graph=True)[0]
                for index in range(points.shape[1])
            ]
    except RuntimeError:
        return torch.stack([hessian(target, point) for point in points])
    target.meter.gradients += points.numel()
    found = torch.stack(rows, 1)
    found = 0.5 * (found + found.mT)
    for place in (~found.isfinite()).flatten(1).any(1).nonzero()[:, 0].tolist():
        found[place] = hessian(target, points[place])
    return found


def inverse_curvature(target: Target, point: Tensor, jacobian: bool = True) -> tuple[Tensor, bool]:
    """Return the inverse of the absolute Hessian, and whether the density curves down in all directions."""
    values, vectors = torch.linalg.eigh(hessian(target, point, jacobian))
    size = values.abs().clamp_min(max(1e-12 * float(values.abs().max()), 1e-300))
    return (vectors / size) @ vectors.mT, bool((values < 0.0).all())


def polish(target: Target, point: Tensor, jacobian: bool = True) -> Tensor:
    """Return the mode near a point, by Newton's method with step halving; where it fails, how far it got."""
    for _ in range(_NEWTON_STEPS):
        value, slope = target.value_and_gradient(point[None], jacobian)
        factor, failed = torch.linalg.cholesky_ex(-hessian(target, point, jacobian))
        if int(failed):
            return point
        step = torch.cholesky_solve(slope[0][:, None], factor)[:, 0]
        promised = float(slope[0] @ step)
        if promised < _PROMISE:
            return point
        evaluate = target.log_prob if jacobian else target.without_jacobian
        lengths = 0.5 ** torch.arange(8, dtype=point.dtype)
        with torch.no_grad():
            found = evaluate(point + lengths[:, None] * step)
        better = found >= value[0] - 1e-13 * value[0].abs()
        if not bool(better.any()):
            return point
        point = point + lengths[int(better.nonzero()[0])] * step
    return point


def at_least_uniform(target: Target, precision: Tensor) -> Tensor:
    """Return precisions ``(..., d, d)`` in which no number on a circle varies more than a uniform one."""
    least = target.least_precision
    return precision + torch.diag_embed(torch.where(precision.diagonal(dim1=-2, dim2=-1) < least, least, 0.0))


def precision_factor(target: Target, point: Tensor) -> Tensor:
    """Return the Cholesky factor of minus the Hessian at a mode.

    Raises
    ------
    DivergedError
        If minus the Hessian is not positive definite; the smallest eigenvalue and its direction are named.
    """
    precision = at_least_uniform(target, -hessian(target, point))
    factor, failed = torch.linalg.cholesky_ex(precision)
    width = target.hints.width
    values, vectors = torch.linalg.eigh(precision * width * width[:, None])
    if int(failed) or not float(values[0]) > 1e-12 * float(values[-1]):
        direction = ", ".join(f"{float(entry):.3g}" for entry in vectors[:6, 0])
        raise DivergedError(
            f"there is no mode to expand around: the smallest eigenvalue of minus the Hessian is "
            f"{float(values[0]):.3g} at {target.describe(point)}, along ({direction}"
            f"{', ...' if len(vectors) > 6 else ''})",
            fix="the density is flat, or still rises there: give the parameters a proper prior, or use "
            "another method of logpx.posteriors.METHODS: only Laplace's needs a mode",
        )
    result: Tensor = factor
    return result


@torch.no_grad()
def log_mass(target: Target, mode: Tensor, factor: Tensor | None = None) -> float:
    """Return the log of the integral around a mode by Laplace's method; minus infinity without a mode.

    `factor` is that of the precision, where it is already known.
    """
    if factor is None:
        try:
            with torch.enable_grad():
                factor = precision_factor(target, mode)
        except DivergedError:
            return -math.inf
    value = float(target.log_prob(mode[None])[0])
    return value + 0.5 * len(mode) * math.log(2.0 * math.pi) - float(factor.diagonal().log().sum())
