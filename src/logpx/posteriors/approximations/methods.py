"""Methods of approximation, from the cheapest to the richest; a new one is a class listed in METHODS."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Distribution, Flow, Mixture
from logpx.distributions.seeding import seeded
from logpx.errors import DivergedError
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.families import (
    LowRankNormal,
    SphericalT,
    flow_of,
    full_rank,
    mean_field,
    normal,
    units_of,
)
from logpx.posteriors.approximations.heavy_tails import heavy_noises, with_heavier_tails
from logpx.posteriors.approximations.pathfinder import LocalNormal, OptimiserPath
from logpx.posteriors.approximations.reverse_kl import ReverseKL, minimise_reverse_kl
from logpx.posteriors.diagnostics.importance import DRAWS
from logpx.posteriors.target.curvature import log_mass, polish, precision_factor
from logpx.posteriors.target.target import Target
from logpx.transforms import Affine, TriangularAffine

__all__ = [
    "AUTOMATIC",
    "METHODS",
    "FlowFit",
    "FullRank",
    "Laplace",
    "LowRank",
    "MeanField",
    "PosteriorMethod",
]

_DRAWS = 1000
# In standard deviations.
_APART = 0.1
# In nats, relative to the heaviest mode.
_LEAST_SHARE = math.log(1e-4)


class PosteriorMethod(ABC):
    """A method that approximates a posterior.

    Attributes
    ----------
    name : str
        Its name in ``method=``.
    """

    name: ClassVar[str]

    @abstractmethod
    def approximate(
        self, target: Target, paths: list[OptimiserPath], seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Approximate a log-density.

        Parameters
        ----------
        target
            The log-density.
        paths
            The ends of Pathfinder's paths to its modes, the highest mode first.
        seed
            Of everything random.
        draws
            How many draws compare tails.

        Raises
        ------
        DivergedError
            If the log-density lacks what the method needs.
        """

    def limited_to(self, max_time: float) -> PosteriorMethod:
        """Return the method with a time limit in seconds; itself, if it does not train."""
        return self


class Laplace(PosteriorMethod):
    """The normal distribution with the mode and curvature of the log-density.

    If several modes matter, it is a mixture with one component for each, weighted by their masses; if the
    tails are too thin for importance weights, they become those of Student's t.

    References
    ----------
    MacKay 2003, Information theory, inference, and learning algorithms, chapter 27.
    """

    name = "laplace"

    def approximate(
        self, target: Target, paths: list[OptimiserPath], seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Expand around the highest mode and the others.

        Raises
        ------
        DivergedError
            If the curvature at the highest point is not that of a mode; the eigenvalue is named.
        """
        modes = [_expansion(target, paths[0])]
        for path in paths[1:]:
            with suppress(DivergedError):
                other = _expansion(target, path)
                if path.converged and all(mode.is_apart_from(other) for mode in modes):
                    modes.append(other)
        highest = max(mode.log_mass for mode in modes)
        modes = [mode for mode in modes if mode.log_mass > highest + _LEAST_SHARE]
        q: Distribution = modes[0].normal
        if len(modes) > 1:
            masses = [math.exp(mode.log_mass - highest) for mode in modes]
            q = Mixture([mode.normal for mode in modes], masses).double()
        return with_heavier_tails(q, heavy_noises(target.size, of_curvature=True), target, seed, draws)


@dataclass(frozen=True)
class _ByReverseKL(PosteriorMethod):
    """A family fitted by reverse KL, from the best normal distribution along Pathfinder's paths.

    Parameters
    ----------
    options
        How it is fitted.
    """

    options: ReverseKL = field(default_factory=ReverseKL)

    def approximate(
        self, target: Target, paths: list[OptimiserPath], seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Fit the family from each start, keep the highest bound, and make thin tails heavier."""
        check_count("restarts", self.options.restarts)
        starts = _starts(target, paths)
        best: Distribution | None = None
        best_bound, steps = -math.inf, 0
        for index in range(self.options.restarts):
            start = starts[index % len(starts)]
            units = self.units(start.mean, start.factor)
            with seeded(seed + index):
                family = self.family(target.size)
            steps += minimise_reverse_kl(family, units, target, self.options, seed + index)
            q = self.in_units(family.double(), units)
            bound = _bound(q, target, _DRAWS, seed)
            if best is None or bound > best_bound:
                best, best_bound = q, bound
        assert best is not None
        found = with_heavier_tails(best, self.noises(target.size), target, seed, draws)
        return replace(found, steps=steps)

    def limited_to(self, max_time: float) -> PosteriorMethod:
        """Return the method with a time limit for each fit, in seconds."""
        return replace(self, options=replace(self.options, max_time=max_time))

    @abstractmethod
    def family(self, size: int) -> Distribution:
        """Return the distribution to fit, initially about standard normal."""

    def units(self, mean: Tensor, factor: Tensor) -> TriangularAffine:
        """Return the units of the fit, from the start's mean and the Cholesky factor of its covariance."""
        return units_of(mean, factor)

    def in_units(self, family: Any, units: TriangularAffine) -> Distribution:
        """Return the fitted distribution in the units of the unconstrained vector."""
        return Flow(family, units)

    def noises(self, size: int) -> list[SphericalT]:
        """Return the noises that may replace its own where tails are too thin."""
        return heavy_noises(size)


class MeanField(_ByReverseKL):
    """A normal distribution with independent dimensions; its tails stay normal."""

    name = "mean_field"

    def family(self, size: int) -> Flow:
        """Return the standard normal distribution to fit."""
        return mean_field(size)

    def units(self, mean: Tensor, factor: Tensor) -> TriangularAffine:
        """Return the conditional deviations, which the best independent approximation has."""
        precision = torch.cholesky_inverse(factor)
        return units_of(mean, precision.diagonal().rsqrt().diag())

    @torch.no_grad()
    def in_units(self, family: Any, units: TriangularAffine) -> Flow:
        """Return the distribution with the two diagonal maps composed into one."""
        inner = family.transform
        mean = units.inverse(inner.shift)[0]
        affine = Affine(len(mean)).double()
        affine.load_state_dict({"shift": mean, "log_scale": inner.log_scale + units.log_diagonal})
        return Flow(family.base, affine.requires_grad_(False))

    def noises(self, size: int) -> list[SphericalT]:
        """Return no noises."""
        return []


class FullRank(_ByReverseKL):
    """A normal distribution with a full covariance, with the tails of Student's t where it needs them."""

    name = "full_rank"

    def family(self, size: int) -> Flow:
        """Return the standard normal distribution to fit."""
        return full_rank(size)

    @torch.no_grad()
    def in_units(self, family: Any, units: TriangularAffine) -> Flow:
        """Return the distribution with the two triangular maps composed into one."""
        return normal(units.inverse(family.transform.shift)[0], units.factor @ family.transform.factor)


@dataclass(frozen=True)
class LowRank(_ByReverseKL):
    """A normal distribution with a low-rank plus diagonal covariance; its tails stay normal.

    Parameters
    ----------
    options
        How it is fitted.
    rank
        The rank.
    """

    name: ClassVar[str] = "low_rank"
    rank: int = 5

    def family(self, size: int) -> Distribution:
        """Return the normal distribution to fit."""
        check_count("rank", self.rank)
        return LowRankNormal(size, min(self.rank, size))

    def units(self, mean: Tensor, factor: Tensor) -> TriangularAffine:
        """Return the deviation of each dimension."""
        return units_of(mean, factor.square().sum(1).sqrt().diag())


@dataclass(frozen=True)
class FlowFit(_ByReverseKL):
    """A normalizing flow, RealNVP unless another is given.

    Parameters
    ----------
    options
        How it is fitted.
    build
        Returns the flow for a number of dimensions.

    References
    ----------
    Rezende and Mohamed 2015, Variational inference with normalizing flows; Agrawal and Domke 2024.
    """

    name: ClassVar[str] = "flow"
    options: ReverseKL = field(
        default_factory=lambda: ReverseKL(draws=512, rates=(1e-2, 3e-3, 1e-3), window=150, annealing=100)
    )
    build: Callable[[int], Distribution] = flow_of

    def family(self, size: int) -> Distribution:
        """Return the flow to fit."""
        return self.build(size)


METHODS: dict[str, PosteriorMethod] = {
    method.name: method for method in (Laplace(), MeanField(), FullRank(), LowRank(), FlowFit())
}

# From cheap to rich: tried one after another until a result can be trusted.
AUTOMATIC: tuple[PosteriorMethod, ...] = (Laplace(), FullRank(), FlowFit())


@dataclass(frozen=True)
class _Expansion:
    """A mode ``(d,)``, the factor of the inverse curvature there, and the log of the mass around it."""

    mode: Tensor
    factor: Tensor
    log_mass: float

    @property
    def normal(self) -> Flow:
        return normal(self.mode, self.factor)

    def is_apart_from(self, other: _Expansion) -> bool:
        step = torch.linalg.solve_triangular(self.factor, (other.mode - self.mode)[:, None], upper=False)
        return float(step.norm()) > _APART


def _expansion(target: Target, path: OptimiserPath) -> _Expansion:
    mode = polish(target, path.point)
    precision = precision_factor(target, mode)
    inverse = torch.linalg.inv(precision)
    factor = torch.linalg.cholesky(inverse.mT @ inverse)
    return _Expansion(mode, factor, log_mass(target, mode, precision))


def _starts(target: Target, paths: list[OptimiserPath]) -> list[LocalNormal]:
    """Return normal distributions to start from, the best first."""
    found = [path.best for path in paths]
    if paths[0].converged:
        with suppress(DivergedError):
            laplace = _expansion(target, paths[0])
            bound = _bound(laplace.normal, target, 64, 0)
            found.append(LocalNormal(laplace.mode, laplace.factor, bound))
    return sorted(found, key=lambda each: each.elbo, reverse=True)


@torch.no_grad()
def _bound(q: Distribution, target: Target, draws: int, seed: int) -> float:
    u, log_q = q.sample_with_log_prob(draws, seed=seed)
    bound = float((target.log_prob(u) - log_q).mean())
    return bound if math.isfinite(bound) else -math.inf
