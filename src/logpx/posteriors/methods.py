"""The ways to a posterior, from the cheapest to the richest."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Distribution, StandardNormal
from logpx.errors import DivergedError
from logpx.posteriors.ascent import Ascent, climb
from logpx.posteriors.curvature import polish, precision_factor
from logpx.posteriors.descent import Descent, minimise
from logpx.posteriors.families import LowRankNormal, flow_of, full_rank, mean_field
from logpx.posteriors.moved import Moved
from logpx.posteriors.tails import widened
from logpx.posteriors.target import Target

__all__ = ["METHODS", "FlowFit", "Found", "FullRank", "Laplace", "LowRank", "MeanField", "Method", "explore"]

_STARTS = 4


@dataclass(frozen=True)
class Found:
    """What a method has found: a distribution of the unconstrained vector, in how many training steps."""

    distribution: Distribution
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
    def find(self, target: Target, ascents: list[Ascent], seed: int) -> Found:
        """Approximate a log-density whose surroundings have been climbed, the best ascent first."""


class Laplace(Method):
    """The normal distribution with the mode and the curvature of the log-density.

    References
    ----------
    MacKay 2003, Information theory, inference, and learning algorithms, chapter 27.
    """

    name = "laplace"

    def find(self, target: Target, ascents: list[Ascent], seed: int) -> Found:
        """Expand around the highest mode.

        Raises
        ------
        DivergedError
            If the curvature there is not that of a mode; the eigenvalue is named.
        """
        mode = polish(target, ascents[0].point)
        inverse = torch.linalg.inv(precision_factor(target, mode))
        factor = torch.linalg.cholesky(inverse.mT @ inverse)
        return Found(Moved(StandardNormal(target.size).double(), mode, factor))


@dataclass(frozen=True)
class _Gradual(Method):
    """A family fitted by reverse KL from the best normal distribution that climbing has met."""

    descent: Descent = field(default_factory=Descent)

    def find(self, target: Target, ascents: list[Ascent], seed: int) -> Found:
        """Fit it."""
        mean, factor = _start(target, ascents)
        q = Moved(self.family(target.size), mean, self.units(factor))
        return Found(q, minimise(q, target, self.descent, seed))

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

    def find(self, target: Target, ascents: list[Ascent], seed: int) -> Found:
        """Fit it; and where its tails are too thin for importance weights, widen what it bends."""
        found = super().find(target, ascents, seed)
        assert isinstance(found.distribution, Moved)
        return Found(widened(found.distribution, target, seed), found.steps)


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
    found, error = [], None
    for index in range(starts):
        near = torch.randn(target.size, generator=generator, dtype=torch.float64)
        start = first if index == 0 else first + 2.0 * near
        with torch.no_grad():
            if not bool(target.log_prob(start[None]).isfinite()):
                continue
        try:
            found.append(climb(target, start, jacobian, seed))
        except DivergedError as failure:
            error = error or failure
    if not found:
        assert error is not None
        raise error
    return sorted(found, key=lambda ascent: (not ascent.converged, -ascent.value))


def with_limits(method: Method, max_time: float | None) -> Method:
    """Return a method with another limit of time."""
    if max_time is None or not isinstance(method, _Gradual):
        return method
    return replace(method, descent=replace(method.descent, max_time=max_time))


def _start(target: Target, ascents: list[Ascent]) -> tuple[Tensor, Tensor]:
    best = max(ascents, key=lambda ascent: ascent.guess.elbo).guess
    guesses = [(best.elbo, best.mean, best.factor)]
    if ascents[0].converged:
        try:
            laplace = Laplace().find(target, ascents, 0).distribution
        except DivergedError:
            laplace = None
        if isinstance(laplace, Moved):
            with torch.no_grad():
                u, log_q = laplace.sample_with_log_prob(64, seed=0)
                bound = float((target.log_prob(u) - log_q).mean())
            if math.isfinite(bound):
                guesses.append((bound, laplace.shift, laplace.factor))
    _, mean, factor = max(guesses, key=lambda guess: guess[0])
    return mean, factor
