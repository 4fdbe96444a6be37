"""Pathfinder: paths of a quasi-Newton optimiser to the modes, and the best normal distribution along each.

Zhang, Carpenter, Gelman and Vehtari 2022, Pathfinder: parallel quasi-Newton variational inference,
https://arxiv.org/abs/2108.03782. Comments name its algorithms. Unlike there, the inverse Hessian is a full
matrix, updated by BFGS instead of L-BFGS, and a path knows whether it has reached a mode.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.errors import DivergedError, UsageError
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.curvature import inverse_curvature
from logpx.posteriors.target.target import Target

__all__ = ["LocalNormal", "OptimiserPath", "multi_path_pathfinder"]

_ITERATIONS = 500
_HALVINGS = 30
# Not less: some densities are partly computed in single precision, such as torch's half-Cauchy.
_TOLERANCE = 1e-7
_PROMISE = 1e-6
_DRAWS = 16
_PATHS = 8
_PATIENCE = 2
_FAR = 1e10
_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class LocalNormal:
    """A normal distribution fitted at a point of a path.

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
class OptimiserPath:
    """The end of a path of the optimiser, and the best approximation along it.

    Attributes
    ----------
    point : Tensor
        The highest point, shape ``(d,)``.
    value : float
        The log-density there, in nats.
    converged : bool
        Whether the gradient vanished.
    best : LocalNormal
        The normal distribution along the path with the highest bound; it exists even without a mode.
    """

    point: Tensor
    value: float
    converged: bool
    best: LocalNormal


def multi_path_pathfinder(
    target: Target, seed: int, jacobian: bool = True, paths: int = _PATHS
) -> list[OptimiserPath]:
    """Follow paths from several points (algorithm 2), and return them with the highest mode first.

    Raises
    ------
    DivergedError
        If every path fails: the error of the first.
    """
    points = _starts(target, seed, paths)
    ends = _side_by_side(target, points, jacobian, seed)
    found = [end for end in ends if isinstance(end, OptimiserPath)]
    if not found:
        raise next((end for end in ends if isinstance(end, DivergedError)), TimeIsUpError())
    return sorted(found, key=lambda path: (not path.converged, -path.value))


@torch.no_grad()
def _starts(target: Target, seed: int, paths: int) -> Tensor:
    """Return points of finite density ``(k, d)``: those that the user named, and some of our own.

    Raises
    ------
    UsageError
        If the density is not finite at a point of the user's, or anywhere near the middle.
    """
    named = target.hints.starts
    values = target.log_prob(named) if len(named) else named.new_empty(0)
    if not bool(values.isfinite().all()):
        bad = int((~values.isfinite()).nonzero()[0])
        raise UsageError(
            f"log_density is {float(values[bad])} at the start {bad + 1}, {target.describe(named[bad])}",
            fix="give starts at which it is finite",
        )
    try:
        first = target.start(seed)
    except UsageError:
        if not len(named):
            raise
        first = named[int(values.argmax())]
    generator = torch.Generator().manual_seed(seed)
    near = torch.randn(paths - 1, target.size, generator=generator, dtype=torch.float64)
    near = first + 2.0 * target.hints.width * near
    if target.hints.ranges:
        near[::2] = target.hints.draw(len(near[::2]), generator)
    points = torch.cat([first[None], near])
    points = points[target.log_prob(points).isfinite()]
    return torch.cat([points, named[values.argsort(descending=True)[:paths]]])


def _side_by_side(
    target: Target, starts: Tensor, jacobian: bool, seed: int
) -> list[OptimiserPath | DivergedError]:
    """Follow paths from points ``(k, d)`` together, so that a step of them all is one call of the function.

    Returns
    -------
    list
        The end of each path, except those that take much longer than half of the paths; or an error that
        names the point, if the log-density is NaN on the way or rises without end.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(_DRAWS, starts.shape[1], generator=generator, dtype=torch.float64)
    walks = [_single_path(target, start.detach().double().clone(), jacobian, noise) for start in starts]
    ended: list[OptimiserPath | DivergedError | None] = [None] * len(walks)
    answers: dict[int, _Answer | None] = dict.fromkeys(range(len(walks)))
    rounds, limit = 0, math.inf
    while answers and rounds < limit:
        rounds += 1
        asked: dict[int, _Question] = {}
        for index, answer in answers.items():
            try:
                asked[index] = next(walks[index]) if answer is None else walks[index].send(answer)
            except StopIteration as stop:
                ended[index] = stop.value
            except DivergedError as error:
                ended[index] = error
        try:
            answers = dict(_answers(target, asked, jacobian))
        except TimeIsUpError:
            for index in asked:
                ended[index] = _stopped(walks[index])
            break
        if limit == math.inf and 2 * sum(isinstance(end, OptimiserPath) for end in ended) >= len(walks):
            # Starts far out may take much longer than the rest: give them up.
            limit = _PATIENCE * rounds
    return [end for end in ended if end is not None]


def _stopped(walk: _Steps) -> OptimiserPath | None:
    """Return how far a path got; None if it has not begun."""
    try:
        walk.throw(TimeIsUpError())
    except StopIteration as stop:
        path: OptimiserPath = stop.value
        return path
    except TimeIsUpError:
        return None
    return None


@dataclass(frozen=True)
class _Question:
    """Points ``(n, d)`` at which a path needs the log-density, and whether it also needs the gradient."""

    points: Tensor
    gradient: bool = False


_Answer = tuple[Tensor, Tensor]
_Steps = Generator[_Question, _Answer, OptimiserPath]


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


@dataclass
class _Ascent:
    """How far a path has got."""

    point: Tensor
    value: float
    slope: Tensor
    inverse: Tensor
    _: KW_ONLY
    best: LocalNormal | None = None
    converged: bool = False

    @property
    def end(self) -> OptimiserPath:
        """The path, if it ends here."""
        best = self.best or LocalNormal(self.point, torch.linalg.cholesky_ex(self.inverse)[0], -math.inf)
        return OptimiserPath(self.point, self.value, self.converged, best)


def _single_path(target: Target, point: Tensor, jacobian: bool, noise: Tensor) -> _Steps:
    """Follow one path, and keep the best normal distribution along it (algorithm 1)."""
    value, slope = _checked(target, point, (yield _Question(point[None], gradient=True)))
    units = target.hints.width.square().diag()
    walk = _Ascent(point, value, slope, units / max(1.0, float((slope @ units @ slope).sqrt())))
    try:
        yield from _steps(target, walk, units, jacobian, noise)
        if walk.best is None:
            walk.best = yield from _local_normal(walk.point, walk.slope, walk.inverse, noise)
    except TimeIsUpError:
        walk.converged = False
    return walk.end


def _steps(
    target: Target, walk: _Ascent, units: Tensor, jacobian: bool, noise: Tensor
) -> Generator[_Question, _Answer, None]:
    for iteration in range(_ITERATIONS):
        direction = walk.inverse @ walk.slope
        promised = float(walk.slope @ direction)
        if not promised > 0.0:
            walk.inverse, direction = units.clone(), units @ walk.slope
            promised = float(walk.slope @ direction)
        if promised < _TOLERANCE:
            # In directions never taken the estimated curvature may be far too high: compute the true one, and
            # go on if it promises more.
            walk.inverse, top = inverse_curvature(target, walk.point, jacobian)
            direction = walk.inverse @ walk.slope
            promised = float(walk.slope @ direction)
            if promised < _PROMISE:
                walk.converged = top
                return
        # Usually a full step will do.
        reached = walk.point + direction
        answer = yield _Question(reached[None], gradient=True)
        if not _keeps(answer[0], walk.value, promised, 1.0):
            step = yield from _shorter(walk.point, direction, walk.value, promised)
            if step is None:
                walk.converged = promised < 1e-4
                return
            reached = walk.point + step * direction
            answer = yield _Question(reached[None], gradient=True)
        before, old = walk.point, walk.slope
        walk.point = reached
        walk.value, walk.slope = _checked(target, reached, answer)
        change = old - walk.slope
        first = units if iteration == 0 else None
        walk.inverse = _updated(walk.inverse, walk.point - before, change, first)
        here = yield from _local_normal(walk.point, walk.slope, walk.inverse, noise)
        if here is not None and (walk.best is None or here.elbo > walk.best.elbo):
            walk.best = here
        if float(walk.point.abs().max()) > _FAR * max(1.0, float(target.hints.width.max())):
            raise DivergedError(
                f"log_density rises without end: it is {walk.value:.4g} at {target.describe(walk.point)}",
                fix="is it improper, or is its sign wrong? bound the parameters, or give them a prior",
            )


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
    """Return which steps gain enough of what the gradient promises (Armijo's condition)."""
    kept: Tensor = found >= value + 1e-4 * lengths * promised - 1e-13 * abs(value)
    return kept


def _shorter(
    point: Tensor, direction: Tensor, value: float, promised: float
) -> Generator[_Question, _Answer, float | None]:
    """Return the longest of the halved steps that gains enough."""
    halved = 0.5 ** torch.arange(1, _HALVINGS, dtype=torch.float64)
    for lengths in torch.split(halved, 6):
        found, _ = yield _Question(point + lengths[:, None] * direction)
        enough = _keeps(found, value, promised, lengths)
        if bool(enough.any()):
            return float(lengths[int(enough.nonzero()[0])])
    return None


def _updated(inverse: Tensor, step: Tensor, change: Tensor, first: Tensor | None) -> Tensor:
    """Return the estimate of the inverse Hessian after a step (replaces algorithm 3).

    `first` is the square of the units, at the first step.
    """
    curvature = step @ change
    if not curvature > 1e-12 * step.norm() * change.norm():
        # No curvature to learn from: take a longer step.
        return 4.0 * inverse
    if first is not None:
        inverse = first * (curvature / (change @ first @ change))
    left = torch.eye(len(step), dtype=step.dtype) - torch.outer(step, change) / curvature
    updated: Tensor = left @ inverse @ left.mT + torch.outer(step, step) / curvature
    return updated


def _local_normal(
    point: Tensor, slope: Tensor, inverse: Tensor, noise: Tensor
) -> Generator[_Question, _Answer, LocalNormal | None]:
    """Return the normal distribution with the estimated curvature at a point, or None if there is none."""
    factor, failed = torch.linalg.cholesky_ex(0.5 * (inverse + inverse.mT))
    if int(failed) or not bool(factor.isfinite().all()):
        return None
    # The mean is one Newton step away (algorithm 4), and the bound is a mean over draws (algorithm 7).
    mean = point + inverse @ slope
    values, _ = yield _Question(mean + noise @ factor.mT)
    entropy = 0.5 * len(point) * (1.0 + _LOG_TWO_PI) + float(factor.diagonal().log().sum())
    elbo = float(values.mean()) + entropy
    return LocalNormal(mean, factor, elbo) if math.isfinite(elbo) else None
