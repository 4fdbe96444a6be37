"""Methods of approximation, from the cheapest to the richest; a new one is a class listed in METHODS."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Distribution, Flow, Mixture
from logpx.distributions.seeding import seeded
from logpx.errors import DivergedError
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.expansion import Expansion, expand
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
from logpx.posteriors.approximations.landscape import Landscape
from logpx.posteriors.approximations.mixtures import mixture_of
from logpx.posteriors.approximations.nested import nested_levels
from logpx.posteriors.approximations.particle_fit import fit_to_particles, mixture_of_particles
from logpx.posteriors.approximations.pathfinder import LocalNormal
from logpx.posteriors.approximations.reverse_kl import ReverseKL, minimise_reverse_kl
from logpx.posteriors.approximations.tempering import temper
from logpx.posteriors.diagnostics.account import EvidenceFound
from logpx.posteriors.diagnostics.importance import DRAWS
from logpx.posteriors.target.hints import Hints
from logpx.posteriors.target.target import Target
from logpx.representations import Shown
from logpx.transforms import Affine, TriangularAffine

__all__ = [
    "METHODS",
    "FlowFit",
    "FullRank",
    "Laplace",
    "LowRank",
    "MeanField",
    "NestedSampling",
    "PosteriorMethod",
    "SequentialMonteCarlo",
    "automatic_methods",
]

_Traces = tuple[tuple[float, ...], ...]
_DRAWS = 1000
# Of the time of smc; the rest is for the mixture.
_FOR_PARTICLES = 0.75
# The most modes that a family is fitted to; the others keep their curvature.
_MOST_FITS = 6
_MOST_CENTRES = 64
_MOST_FOR_PARTICLES = 40
# Of the noise that particles start from.
_START_DEGREES, _START_SCALE = 5.0, 3.0


class PosteriorMethod(Shown, ABC):
    """A method that approximates a posterior.

    Attributes
    ----------
    name : str
        Its name in ``method=``.
    """

    name: ClassVar[str]

    @abstractmethod
    def approximate(
        self, target: Target, landscape: Landscape, seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Approximate a log-density.

        Parameters
        ----------
        target
            The log-density.
        landscape
            Its modes, and the ends of Pathfinder's paths.
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
    https://www.inference.org.uk/itila/
    """

    name = "laplace"

    def approximate(
        self, target: Target, landscape: Landscape, seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Expand around the highest mode and the others.

        Raises
        ------
        DivergedError
            If the curvature at the highest point is not that of a mode; the eigenvalue is named.
        """
        modes = landscape.main_modes or (expand(target, landscape.paths[0].point),)
        q = mixture_of([mode.normal for mode in modes], [mode.log_mass for mode in modes], target, seed)
        return with_heavier_tails(q, heavy_noises(target.size, of_curvature=True), target, seed, draws)


@dataclass(frozen=True, repr=False)
class _ByReverseKL(PosteriorMethod):
    """A family fitted by reverse KL, from the best normal distribution along Pathfinder's paths.

    Parameters
    ----------
    options
        How it is fitted.
    """

    options: ReverseKL = field(default_factory=ReverseKL)
    # Whether it takes a distribution for each mode, rather than being a single one by definition.
    per_mode: ClassVar[bool] = True

    def approximate(
        self, target: Target, landscape: Landscape, seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Fit the family, one for each mode if several matter, and make thin tails heavier."""
        check_count("restarts", self.options.restarts)
        modes = landscape.main_modes
        if len(modes) > 1 and self.per_mode:
            q, traces = self._of_modes(target, modes, seed)
        else:
            q, traces = self._of_starts(target, _starts(target, landscape), seed)
        found = with_heavier_tails(q, self.noises(target.size), target, seed, draws)
        return replace(found, steps=sum(len(trace) for trace in traces), traces=traces)

    def _of_starts(
        self, target: Target, starts: list[LocalNormal], seed: int
    ) -> tuple[Distribution, _Traces]:
        """Fit from each start, and keep the highest bound."""
        best: Distribution | None = None
        best_bound, traces = -math.inf, []
        for index in range(self.options.restarts):
            q, trace = self._fitted(target, starts[index % len(starts)], self.options, seed + index)
            traces.append(trace)
            bound = _bound(q, target, _DRAWS, seed) if self.options.restarts > 1 else 0.0
            if best is None or bound > best_bound:
                best, best_bound = q, bound
        assert best is not None
        return best, tuple(traces)

    def _of_modes(
        self, target: Target, modes: Sequence[Expansion], seed: int
    ) -> tuple[Distribution, _Traces]:
        """Fit around each of the heaviest modes, and leave the others their curvature."""
        fitted = modes[:_MOST_FITS]
        options = replace(self.options, max_time=self.options.max_time / len(fitted), annealing=0, restarts=1)
        parts: list[Distribution] = []
        traces = []
        for index, mode in enumerate(fitted):
            start = LocalNormal(mode.mode, mode.factor, mode.log_mass)
            try:
                q, trace = self._fitted(target, start, options, seed + index)
            except DivergedError:
                q, trace = mode.normal, ()
            parts.append(q)
            traces.append(trace)
        parts += [mode.normal for mode in modes[_MOST_FITS:]]
        return mixture_of(parts, [mode.log_mass for mode in modes], target, seed), tuple(traces)

    def _fitted(
        self, target: Target, start: LocalNormal, options: ReverseKL, seed: int
    ) -> tuple[Distribution, tuple[float, ...]]:
        units = self.units(start.mean, start.factor)
        with seeded(seed):
            family = self.family(target.size)
        trace: list[float] = []
        minimise_reverse_kl(family, units, target, options, seed, trace)
        return self.in_units(family.double(), units), tuple(trace)

    def limited_to(self, max_time: float) -> PosteriorMethod:
        """Return the method with a time limit for all its fits together, in seconds."""
        each = max_time / max(self.options.restarts, 1)
        return replace(self, options=replace(self.options, max_time=min(self.options.max_time, each)))

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
    per_mode = False

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


@dataclass(frozen=True, repr=False)
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
    per_mode: ClassVar[bool] = False
    rank: int = 5

    def family(self, size: int) -> Distribution:
        """Return the normal distribution to fit."""
        check_count("rank", self.rank)
        return LowRankNormal(size, min(self.rank, size))

    def units(self, mean: Tensor, factor: Tensor) -> TriangularAffine:
        """Return the deviation of each dimension."""
        return units_of(mean, factor.square().sum(1).sqrt().diag())


@dataclass(frozen=True, repr=False)
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
    https://arxiv.org/abs/1505.05770
    https://arxiv.org/abs/2412.08824
    """

    name: ClassVar[str] = "flow"
    options: ReverseKL = field(
        default_factory=lambda: ReverseKL(draws=512, rates=(1e-2, 3e-3, 1e-3), window=150, annealing=100)
    )
    build: Callable[[int], Distribution] = flow_of

    def family(self, size: int) -> Distribution:
        """Return the flow to fit."""
        return self.build(size)


@dataclass(frozen=True, repr=False)
class SequentialMonteCarlo(PosteriorMethod):
    """A mixture of normal distributions for particles that follow the density from a wide start.

    Needs neither modes nor a family that fits: what the particles find is its evidence, and a mixture that
    leaves a part of it out is not trusted.

    Parameters
    ----------
    particles
        How many particles.
    max_time
        The most seconds.

    References
    ----------
    Del Moral, Doucet and Jasra 2006, Sequential Monte Carlo samplers.
    https://arxiv.org/abs/cond-mat/0212648
    """

    name: ClassVar[str] = "smc"
    particles: int = 2000
    max_time: float = 60.0

    def approximate(
        self, target: Target, landscape: Landscape, seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Temper particles, and fit a mixture to them; to those so far, if time is up before they arrive."""
        check_count("particles", self.particles, least=20)
        start = wide_start(landscape, target.hints)
        limit = _FOR_PARTICLES * self.max_time
        found = temper(start, target, 2 * (self.particles // 2), seed, limit)
        if not found.finished:
            q = mixture_of_particles(found.u, 1, seed, until=0.0)
            return Approximation(q, missed=f"{self.name} ran out of time before its particles had arrived")
        q = fit_to_particles(found.u, target, len(landscape.main_modes), seed)
        known = EvidenceFound("tempered particles", found.log_evidence, found.error)
        result = with_heavier_tails(q, heavy_noises(target.size), target, seed, draws)
        return replace(result, evidence=(*result.evidence, known))

    def limited_to(self, max_time: float) -> PosteriorMethod:
        """Return the method with a time limit in seconds."""
        return replace(self, max_time=min(self.max_time, max_time))


@dataclass(frozen=True, repr=False)
class NestedSampling(PosteriorMethod):
    """A mixture of normal distributions for points of importance nested sampling.

    Where a narrow mode holds most of the mass, a temperature at which it comes to count may be passed without
    a particle in it; levels of the density shrink the volume by a fixed factor instead. It is for few
    dimensions: in more than about ten the proposals are too rough, and the result says so.

    Parameters
    ----------
    particles
        How many points a level.
    max_time
        The most seconds.

    References
    ----------
    Williams, Veitch and Messenger 2023, Importance nested sampling with normalising flows.
    https://arxiv.org/abs/2302.08526
    """

    name: ClassVar[str] = "nested"
    particles: int = 1000
    max_time: float = 120.0

    def approximate(
        self, target: Target, landscape: Landscape, seed: int, draws: int = DRAWS
    ) -> Approximation:
        """Climb the levels, and fit a mixture to their points; to those so far, if they do not arrive."""
        check_count("particles", self.particles, least=100)
        start, modes = wide_start(landscape, target.hints), len(landscape.main_modes)
        limit = _FOR_PARTICLES * self.max_time
        found = nested_levels(start, target, self.particles, modes, seed, limit)
        if not found.finished:
            q = mixture_of_particles(found.u, 1, seed, until=0.0)
            return Approximation(q, missed=f"{self.name} did not arrive at the top in {found.levels} levels")
        q = fit_to_particles(found.u, target, modes, seed)
        known = EvidenceFound("nested levels", found.log_evidence, found.error)
        result = with_heavier_tails(q, heavy_noises(target.size), target, seed, draws)
        return replace(result, evidence=(*result.evidence, known))

    def limited_to(self, max_time: float) -> PosteriorMethod:
        """Return the method with a time limit in seconds."""
        return replace(self, max_time=min(self.max_time, max_time))


def wide_start(landscape: Landscape, hints: Hints) -> Distribution:
    """Return a distribution wider than what is known of a log-density: heavy tails around every mode."""
    centres = [(mode.mode, mode.factor) for mode in landscape.main_modes[:_MOST_CENTRES]] or [
        (start.mean, start.factor) for start in landscape.starts
    ]
    size = len(centres[0][0])
    noise = SphericalT(size, _START_DEGREES, _START_SCALE).double()
    parts: list[Distribution] = [Flow(noise, units_of(mean, factor)) for mean, factor in centres]
    means = torch.stack([mean for mean, _ in centres])
    # All of them together, and the scale on which parameters are usually written.
    spread = torch.stack([factor.square().sum(1).sqrt() for _, factor in centres]).amax(0)
    written = 0.0 if hints.given else 1.0
    spread = (spread.square() + (means - means.mean(0)).square().mean(0) + written).sqrt()
    parts.append(Flow(noise, units_of(means.mean(0), spread.diag())))
    if hints.given:
        parts.append(Flow(noise, units_of(hints.centre, hints.width.diag())))
    return Mixture(parts).double()


METHODS: dict[str, PosteriorMethod] = {
    method.name: method
    for method in (
        Laplace(),
        MeanField(),
        FullRank(),
        LowRank(),
        FlowFit(),
        SequentialMonteCarlo(),
        NestedSampling(),
    )
}


def automatic_methods(size: int) -> tuple[PosteriorMethod, ...]:
    """Return the methods that are tried one after another until a result can be trusted.

    Parameters
    ----------
    size
        The number of dimensions: in many, particles are too few for a covariance, and come after the fits of
        normal distributions.
    """
    if size > _MOST_FOR_PARTICLES:
        return Laplace(), FullRank(), SequentialMonteCarlo(), FlowFit()
    return Laplace(), SequentialMonteCarlo(), FullRank(), FlowFit()


def _starts(target: Target, landscape: Landscape) -> list[LocalNormal]:
    """Return normal distributions to start from, the best first."""
    found = landscape.starts
    if landscape.modes:
        mode = landscape.modes[0]
        found.append(LocalNormal(mode.mode, mode.factor, _bound(mode.normal, target, 64, 0)))
    return sorted(found, key=lambda each: each.elbo, reverse=True)


@torch.no_grad()
def _bound(q: Distribution, target: Target, draws: int, seed: int) -> float:
    u, log_q = q.sample_with_log_prob(draws, seed=seed)
    bound = float((target.log_prob(u) - log_q).mean())
    return bound if math.isfinite(bound) else -math.inf
