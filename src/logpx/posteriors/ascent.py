"""The way up to a mode, and the normal distribution along it that fits best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.errors import DivergedError
from logpx.posteriors.curvature import inverse_curvature
from logpx.posteriors.target import Target

__all__ = ["Ascent", "Guess", "climb"]

_ITERATIONS = 500
_HALVINGS = 30
_TOLERANCE = 1e-9
_PROMISE = 1e-6
_DRAWS = 16
_FAR = 1e10
_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Guess:
    """A normal distribution to start from.

    Attributes
    ----------
    mean : Tensor
        Shape ``(d,)``.
    factor : Tensor
        Lower triangular Cholesky factor of the covariance, shape ``(d, d)``.
    elbo : float
        An estimate of its evidence lower bound, in nats.
    """

    mean: Tensor
    factor: Tensor
    elbo: float


@dataclass(frozen=True)
class Ascent:
    """Where climbing ended.

    Attributes
    ----------
    point : Tensor
        The highest point, shape ``(d,)``.
    value : float
        The log-density there, in nats.
    converged : bool
        Whether the slope has vanished.
    guess : Guess
        The best normal distribution on the way: of a density without a mode, too.
    """

    point: Tensor
    value: float
    converged: bool
    guess: Guess


def climb(target: Target, start: Tensor, jacobian: bool = True, seed: int = 0) -> Ascent:
    """Climb by the method of Broyden, Fletcher, Goldfarb and Shanno, and guess from its curvature.

    Parameters
    ----------
    target
        The log-density.
    start
        Shape ``(d,)``, where it is finite.
    jacobian
        Whether the log abs(det) of the parameters' map belongs to what is climbed.
    seed
        Of the draws that compare guesses.

    Raises
    ------
    DivergedError
        If the log-density is not a number somewhere on the way, or rises without end; the point is named.

    References
    ----------
    Zhang, Carpenter, Gelman and Vehtari 2022, Pathfinder: parallel quasi-Newton variational inference (the
    guesses).
    """
    noise = torch.randn(
        _DRAWS, len(start), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    point = start.detach().double().clone()
    value, slope = _at(target, point, jacobian)
    inverse = torch.eye(len(point), dtype=torch.float64) / max(1.0, float(slope.norm()))
    best: Guess | None = None
    converged = False
    for iteration in range(_ITERATIONS):
        direction = inverse @ slope
        promised = float(slope @ direction)
        if not promised > 0.0:
            inverse, direction = torch.eye(len(point), dtype=torch.float64), slope
            promised = float(slope @ slope)
        if promised < _TOLERANCE:
            # Along directions that were never taken the guessed curvature may be far too high: look at the
            # true one, and go on where that promises more.
            inverse, top = inverse_curvature(target, point, jacobian)
            direction = inverse @ slope
            promised = float(slope @ direction)
            if promised < _PROMISE:
                converged = top
                break
        step = _step(target, point, direction, value, promised, jacobian)
        if step is None:
            converged = promised < 1e-4
            break
        before, old = point, slope
        point = point + step * direction
        value, slope = _at(target, point, jacobian)
        inverse = _updated(inverse, point - before, old - slope, first=iteration == 0)
        guess = _guess(target, point, slope, inverse, noise)
        if guess is not None and (best is None or guess.elbo > best.elbo):
            best = guess
        if float(point.abs().max()) > _FAR:
            raise DivergedError(
                f"log_density rises without end: it is {value:.4g} at {target.describe(point)}",
                fix="is it improper, or its sign wrong? bound the parameters, or give them a prior",
            )
    if best is None:
        best = _guess(target, point, slope, inverse, noise) or Guess(point, inverse, -math.inf)
    return Ascent(point, value, converged, best)


def _at(target: Target, point: Tensor, jacobian: bool) -> tuple[float, Tensor]:
    value, slope = target.value_and_gradient(point[None], jacobian)
    if not bool(value.isfinite().all()) or not bool(slope.isfinite().all()):
        wrong = "log_density" if not bool(value.isfinite().all()) else "the gradient of log_density"
        number = value if wrong == "log_density" else slope[~slope.isfinite()]
        raise DivergedError(
            f"{wrong} is {float(number.flatten()[0])} at {target.describe(point)}",
            fix="make value and gradient finite for every point of the parameters' range",
        )
    return float(value[0]), slope[0]


def _step(
    target: Target, point: Tensor, direction: Tensor, value: float, promised: float, jacobian: bool
) -> float | None:
    """Return the longest of halved steps that keeps a part of the promise."""
    evaluate = target.log_prob if jacobian else target.without_jacobian
    lengths = 0.5 ** torch.arange(_HALVINGS, dtype=torch.float64)
    with torch.no_grad():
        for part in torch.split(lengths, 6):
            found = evaluate(point + part[:, None] * direction)
            enough = found >= value + 1e-4 * part * promised - 1e-13 * abs(value)
            if bool(enough.any()):
                return float(part[int(enough.nonzero()[0])])
    return None


def _updated(inverse: Tensor, step: Tensor, change: Tensor, first: bool) -> Tensor:
    curvature = step @ change
    if not curvature > 1e-12 * step.norm() * change.norm():
        # No curvature to learn from: go further.
        return 4.0 * inverse
    if first:
        inverse = torch.eye(len(step), dtype=step.dtype) * (curvature / (change @ change))
    left = torch.eye(len(step), dtype=step.dtype) - torch.outer(step, change) / curvature
    updated: Tensor = left @ inverse @ left.mT + torch.outer(step, step) / curvature
    return updated


def _guess(target: Target, point: Tensor, slope: Tensor, inverse: Tensor, noise: Tensor) -> Guess | None:
    factor, failed = torch.linalg.cholesky_ex(0.5 * (inverse + inverse.mT))
    if int(failed) or not bool(factor.isfinite().all()):
        return None
    mean = point + inverse @ slope
    with torch.no_grad():
        values = target.log_prob(mean + noise @ factor.mT)
    entropy = 0.5 * len(point) * (1.0 + _LOG_TWO_PI) + float(factor.diagonal().log().sum())
    elbo = float(values.mean()) + entropy
    return Guess(mean, factor, elbo) if math.isfinite(elbo) else None
