"""The way up to a mode, and the normal distribution along it that fits best."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.errors import DivergedError
from logpx.posteriors.target.curvature import inverse_curvature
from logpx.posteriors.target.target import Target

__all__ = ["Ascent", "Guess", "climb"]

_ITERATIONS = 500
_HALVINGS = 30
# Not less: densities are computed in single precision in places, as torch's half-Cauchy distribution is.
_TOLERANCE = 1e-7
_PROMISE = 1e-6
_DRAWS = 16
_PATIENCE = 2
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


def climb(
    target: Target, starts: Tensor, jacobian: bool = True, seed: int = 0
) -> list[Ascent | DivergedError]:
    """Climb by the method of Broyden, Fletcher, Goldfarb and Shanno, and guess from its curvature.

    All starts climb side by side, so that a function of many points is called once for a step of all of them.

    Parameters
    ----------
    target
        The log-density.
    starts
        Shape ``(k, d)``, where it is finite.
    jacobian
        Whether the log abs(det) of the parameters' map belongs to what is climbed.
    seed
        Of the draws that compare guesses.

    Returns
    -------
    list
        Where each start ended, but for those that take much longer than half of them; or an error, if the
        log-density is not a number somewhere on the way, or rises without end; the point is named.

    References
    ----------
    Zhang, Carpenter, Gelman and Vehtari 2022, Pathfinder: parallel quasi-Newton variational inference (the
    guesses).
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(_DRAWS, starts.shape[1], generator=generator, dtype=torch.float64)
    climbs = [_climb(target, start.detach().double().clone(), jacobian, noise) for start in starts]
    ended: list[Ascent | DivergedError | None] = [None] * len(climbs)
    answers: dict[int, _Answer | None] = dict.fromkeys(range(len(climbs)))
    rounds, limit = 0, math.inf
    while answers and rounds < limit:
        rounds += 1
        asked: dict[int, _Question] = {}
        for index, answer in answers.items():
            try:
                asked[index] = next(climbs[index]) if answer is None else climbs[index].send(answer)
            except StopIteration as stop:
                ended[index] = stop.value
            except DivergedError as error:
                ended[index] = error
        answers = dict(_answers(target, asked, jacobian))
        if limit == math.inf and 2 * sum(isinstance(end, Ascent) for end in ended) >= len(climbs):
            # Starts far out may take much longer than the rest: these are given up.
            limit = _PATIENCE * rounds
    return [end for end in ended if end is not None]


@dataclass(frozen=True)
class _Question:
    """Points ``(n, d)`` whose log-density a climb has to know, and whether the gradient, too."""

    points: Tensor
    gradient: bool = False


_Answer = tuple[Tensor, Tensor]
_Steps = Generator[_Question, _Answer, Ascent]


def _answers(target: Target, asked: dict[int, _Question], jacobian: bool) -> Iterator[tuple[int, _Answer]]:
    evaluate = target.log_prob if jacobian else target.without_jacobian
    for gradient in (True, False):
        group = {index: question.points for index, question in asked.items() if question.gradient is gradient}
        if not group:
            continue
        points = torch.cat(list(group.values()))
        if gradient:
            values, slopes = target.value_and_gradient(points, jacobian)
        else:
            with torch.no_grad():
                values, slopes = evaluate(points), points
        sizes = [len(part) for part in group.values()]
        yield from zip(
            group, zip(torch.split(values, sizes), torch.split(slopes, sizes), strict=True), strict=True
        )


def _climb(target: Target, point: Tensor, jacobian: bool, noise: Tensor) -> _Steps:
    value, slope = _checked(target, point, (yield _Question(point[None], gradient=True)))
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
        # A whole step is the rule.
        reached, answer = point + direction, (yield _Question((point + direction)[None], gradient=True))
        if not _keeps(answer[0], value, promised, 1.0):
            step = yield from _shorter(point, direction, value, promised)
            if step is None:
                converged = promised < 1e-4
                break
            reached = point + step * direction
            answer = yield _Question(reached[None], gradient=True)
        before, old = point, slope
        point = reached
        value, slope = _checked(target, point, answer)
        inverse = _updated(inverse, point - before, old - slope, first=iteration == 0)
        guess = yield from _guess(point, slope, inverse, noise)
        if guess is not None and (best is None or guess.elbo > best.elbo):
            best = guess
        if float(point.abs().max()) > _FAR:
            raise DivergedError(
                f"log_density rises without end: it is {value:.4g} at {target.describe(point)}",
                fix="is it improper, or its sign wrong? bound the parameters, or give them a prior",
            )
    if best is None:
        best = (yield from _guess(point, slope, inverse, noise)) or Guess(point, inverse, -math.inf)
    return Ascent(point, value, converged, best)


def _checked(target: Target, point: Tensor, answer: _Answer) -> tuple[float, Tensor]:
    value, slope = answer
    if not bool(value.isfinite().all()) or not bool(slope.isfinite().all()):
        wrong = "log_density" if not bool(value.isfinite().all()) else "the gradient of log_density"
        number = value if wrong == "log_density" else slope[~slope.isfinite()]
        raise DivergedError(
            f"{wrong} is {float(number.flatten()[0])} at {target.describe(point)}",
            fix="make value and gradient finite for every point of the parameters' range",
        )
    return float(value[0]), slope[0]


def _keeps(found: Tensor, value: float, promised: float, lengths: Any) -> Tensor:
    """Return which steps keep a part of their promise."""
    kept: Tensor = found >= value + 1e-4 * lengths * promised - 1e-13 * abs(value)
    return kept


def _shorter(
    point: Tensor, direction: Tensor, value: float, promised: float
) -> Generator[_Question, _Answer, float | None]:
    """Return the longest of halved steps that keeps a part of its promise."""
    halved = 0.5 ** torch.arange(1, _HALVINGS, dtype=torch.float64)
    for lengths in torch.split(halved, 6):
        found, _ = yield _Question(point + lengths[:, None] * direction)
        enough = _keeps(found, value, promised, lengths)
        if bool(enough.any()):
            return float(lengths[int(enough.nonzero()[0])])
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


def _guess(
    point: Tensor, slope: Tensor, inverse: Tensor, noise: Tensor
) -> Generator[_Question, _Answer, Guess | None]:
    factor, failed = torch.linalg.cholesky_ex(0.5 * (inverse + inverse.mT))
    if int(failed) or not bool(factor.isfinite().all()):
        return None
    mean = point + inverse @ slope
    values, _ = yield _Question(mean + noise @ factor.mT)
    entropy = 0.5 * len(point) * (1.0 + _LOG_TWO_PI) + float(factor.diagonal().log().sum())
    elbo = float(values.mean()) + entropy
    return Guess(mean, factor, elbo) if math.isfinite(elbo) else None
