"""The ways to a posterior, from the cheapest to the richest."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Distribution, Mixture, StandardNormal
from logpx.errors import DivergedError
from logpx.posteriors.approximations.families import LowRankNormal, flow_of, full_rank, mean_field
from logpx.posteriors.approximations.heavy_tails import DRAWS, widened
from logpx.posteriors.approximations.pathfinder import Ascent, Guess, climb
from logpx.posteriors.approximations.reverse_kl import Descent, minimise
from logpx.posteriors.moved import Moved
from logpx.posteriors.target.curvature import log_mass, polish, precision_factor
from logpx.posteriors.target.target import Target

__all__ = ["METHODS", "FlowFit", "Found", "FullRank", "Laplace", "LowRank", "MeanField", "Method", "explore"]

_STARTS = 8
_DRAWS = 1000
# In deviations; and in nats below the heaviest mode.
_APART = 0.1
_LEAST_SHARE = math.log(1e-4)


@dataclass(frozen=True)
class Found:
    """What a method has found.

    Attributes
    ----------
    distribution : Distribution
        Of the unconstrained vector.
    missed : str or None
        What it leaves out, in words.
    bound : float
        An evidence lower bound, in nats.
    steps : int
        Of training.
    """

    distribution: Distribution
    missed: str | None = None
    bound: float = -math.inf
    steps: int = 0


class Method(ABC):
    """A way to a posterior.

    Attributes
    ----------
    name : str
        What ``method=`` calls it.
    """

    name: ClassVar[str]

    @abstractmethod
    def find(self, target: Target, ascents: list[Ascent], seed: int, draws: int = DRAWS) -> Found:
        """Approximate a log-density whose surroundings have been climbed, the best ascent first.

        So many draws compare tails.
        """


class Laplace(Method):
    """The normal distribution with the mode and the curvature of the log-density.

    Where several modes were met that matter, a mixture of one for each, weighted by their masses; and where
    tails are too thin for importance weights, those of Student's t.

    References
    ----------
    MacKay 2003, Information theory, inference, and learning algorithms, chapter 27.
    """

    name = "laplace"

    def find(self, target: Target, ascents: list[Ascent], seed: int, draws: int = DRAWS) -> Found:
        """Expand around the highest mode, and around others.

        Raises
        ------
        DivergedError
            If the curvature at the highest is not that of a mode; the eigenvalue is named.
        """
        modes = [_expansion(target, ascents[0])]
        for ascent in ascents[1:]:
            with suppress(DivergedError):
                other = _expansion(target, ascent)
                if ascent.converged and all(mode.is_apart_from(other) for mode in modes):
                    modes.append(other)
        highest = max(mode.log_mass for mode in modes)
        modes = [mode for mode in modes if mode.log_mass > highest + _LEAST_SHARE]
        normals = [mode.normal for mode in modes]
        if len(modes) == 1:
            return Found(*widened(normals[0], target, seed, draws))
        mixture = Mixture(normals, [math.exp(mode.log_mass - highest) for mode in modes]).double()
        return Found(*widened(mixture, target, seed, draws))


@dataclass(frozen=True)
class _Gradual(Method):
    """A family fitted by reverse KL from the best normal distribution that climbing has met.

    Of a normal distribution with a full covariance, and of a flow, tails that are too thin are widened.
    """

    descent: Descent = field(default_factory=Descent)

    def find(self, target: Target, ascents: list[Ascent], seed: int, draws: int = DRAWS) -> Found:
        """Fit it, from as many starts as are wished, and keep the highest bound."""
        check_count("restarts", self.descent.restarts)
        starts = _starts(target, ascents)
        best, best_bound, steps = None, -math.inf, 0
        for index in range(self.descent.restarts):
            start = starts[index % len(starts)]
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed + index)
                family = self.family(target.size)
            q = Moved(family, start.mean, self.units(start.factor))
            steps += minimise(q, target, self.descent, seed + index)
            bound = _bound(q, target, _DRAWS, seed)
            if best is None or bound > best_bound:
                best, best_bound = q, bound
        assert best is not None
        return Found(*widened(best, target, seed, draws), steps)

    @abstractmethod
    def family(self, size: int) -> Distribution:
        """Return the distribution to fit, about standard normal at first."""

    def units(self, factor: Tensor) -> Tensor:
        """Return the units in which it starts, from the factor of the start's covariance."""
        return factor


class MeanField(_Gradual):
    """A normal distribution with independent dimensions."""

    name = "mean_field"

    def family(self, size: int) -> Distribution:
        """Return it."""
        return mean_field(size)

    def units(self, factor: Tensor) -> Tensor:
        """Return conditional deviations, which are those of the best independent approximation."""
        precision = torch.cholesky_inverse(factor)
        return precision.diagonal().rsqrt().diag()


class FullRank(_Gradual):
    """A normal distribution with a full covariance."""

    name = "full_rank"

    def family(self, size: int) -> Distribution:
        """Return it."""
        return full_rank(size)


@dataclass(frozen=True)
class LowRank(_Gradual):
    """A normal distribution with a covariance of low rank plus a diagonal one.

    Parameters
    ----------
    descent
        How it is fitted.
    rank
        The rank.
    """

    name: ClassVar[str] = "low_rank"
    rank: int = 5

    def family(self, size: int) -> Distribution:
        """Return it."""
        check_count("rank", self.rank)
        return LowRankNormal(size, min(self.rank, size))

    def units(self, factor: Tensor) -> Tensor:
        """Return deviations, each dimension its own."""
        return factor.square().sum(1).sqrt().diag()


@dataclass(frozen=True)
class FlowFit(_Gradual):
    """A normalizing flow, RealNVP unless another is given.

    Parameters
    ----------
    descent
        How it is fitted.
    build
        From the number of dimensions to the flow.

    References
    ----------
    Rezende and Mohamed 2015, Variational inference with normalizing flows; Agrawal and Domke 2024.
    """

    name: ClassVar[str] = "flow"
    descent: Descent = field(
        default_factory=lambda: Descent(draws=512, rates=(1e-2, 3e-3, 1e-3), window=150, annealing=100)
    )
    build: Callable[[int], Distribution] = flow_of

    def family(self, size: int) -> Distribution:
        """Return it."""
        return self.build(size)


METHODS: dict[str, Method] = {
    method.name: method for method in (Laplace(), MeanField(), FullRank(), LowRank(), FlowFit())
}


def explore(target: Target, seed: int, jacobian: bool = True, starts: int = _STARTS) -> list[Ascent]:
    """Climb from several points; the highest mode comes first, the others after it.

    Raises
    ------
    DivergedError
        If every start fails; the first error is raised.
    """
    first = target.start(seed)
    generator = torch.Generator().manual_seed(seed)
    near = torch.randn(starts - 1, target.size, generator=generator, dtype=torch.float64)
    points = torch.cat([first[None], first + 2.0 * near])
    with torch.no_grad():
        points = points[target.log_prob(points).isfinite()]
    ends = climb(target, points, jacobian, seed)
    found = [end for end in ends if isinstance(end, Ascent)]
    if not found:
        raise next(end for end in ends if isinstance(end, DivergedError))
    return sorted(found, key=lambda ascent: (not ascent.converged, -ascent.value))


def with_limits(method: Method, max_time: float | None) -> Method:
    """Return a method with another limit of time."""
    if max_time is None or not isinstance(method, _Gradual):
        return method
    return replace(method, descent=replace(method.descent, max_time=max_time))


@dataclass(frozen=True)
class _Expansion:
    """A mode ``(d,)``, the factor of the inverse curvature there, and the log of the mass around it."""

    mode: Tensor
    factor: Tensor
    log_mass: float

    @property
    def normal(self) -> Moved:
        return Moved(StandardNormal(len(self.mode)).double(), self.mode, self.factor)

    def is_apart_from(self, other: _Expansion) -> bool:
        step = torch.linalg.solve_triangular(self.factor, (other.mode - self.mode)[:, None], upper=False)
        return float(step.norm()) > _APART


def _expansion(target: Target, ascent: Ascent) -> _Expansion:
    mode = polish(target, ascent.point)
    precision = precision_factor(target, mode)
    inverse = torch.linalg.inv(precision)
    factor = torch.linalg.cholesky(inverse.mT @ inverse)
    return _Expansion(mode, factor, log_mass(target, mode, precision))


def _starts(target: Target, ascents: list[Ascent]) -> list[Guess]:
    """Return normal distributions to start from, the best first."""
    guesses = [ascent.guess for ascent in ascents]
    if ascents[0].converged:
        with suppress(DivergedError):
            laplace = _expansion(target, ascents[0])
            bound = _bound(laplace.normal, target, 64, 0)
            guesses.append(Guess(laplace.mode, laplace.factor, bound))
    return sorted(guesses, key=lambda guess: guess.elbo, reverse=True)


@torch.no_grad()
def _bound(q: Distribution, target: Target, draws: int, seed: int) -> float:
    u, log_q = q.sample_with_log_prob(draws, seed=seed)
    bound = float((target.log_prob(u) - log_q).mean())
    return bound if math.isfinite(bound) else -math.inf
