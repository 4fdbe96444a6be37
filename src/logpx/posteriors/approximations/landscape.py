"""Where a log-density is high: paths to its modes, a search for others, and how much may still be unseen."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace

import torch
from torch import Tensor

from logpx.errors import DivergedError
from logpx.posteriors.approximations.axes import peaks_along_axes
from logpx.posteriors.approximations.expansion import Expansion, expand, expand_all
from logpx.posteriors.approximations.pathfinder import LocalNormal, OptimiserPath
from logpx.posteriors.approximations.rays import peaks_along_rays
from logpx.posteriors.approximations.symmetries import images_of
from logpx.posteriors.approximations.unmet_modes import share_at_unmet_modes
from logpx.posteriors.approximations.wide_draws import Probes, WideDraws
from logpx.posteriors.diagnostics.account import EvidenceFound
from logpx.posteriors.diagnostics.importance import Weighted
from logpx.posteriors.diagnostics.verdict import diagnose
from logpx.posteriors.target.climbs import climb, values_at
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target
from logpx.representations import Shown

__all__ = ["Landscape", "survey"]

_LEAST_ROUNDS, _QUIET_ROUNDS, _MOST_ROUNDS = 3, 3, 12
_CLIMBS = 64
_NUMBERS = 3_200
# Points for each round: as many as take about so many seconds, between these powers of 2.
_SECONDS, _LEAST_CANDIDATES, _MOST_CANDIDATES = 0.1, 10, 15
_TRIAL, _TRIALS = 512, 3
_AWAY = 2.0
_PROBES = 8192
_MOST_CENTRES, _MOST_AXES = 16, 4
_MOST_MODES, _MOST_MAIN_MODES = 512, 256
# At the end of a search, from at most so many modes, so many times as many points as in a round.
_RAYS_FROM, _RAY_CANDIDATES = 8, 16
_DEGREES = 3.0
# Shares of the mass.
_NEGLIGIBLE = 1e-4
_LEAST_SHARE = math.log(_NEGLIGIBLE)
_WORTHWHILE = 0.01
_HOPELESS = 0.5
_UNSEEN = 0.05
# In nats: less is the noise of a few draws.
_LOWERED = 2.0
# How much lower than its mode an image may start, in nats.
_BELOW = 30.0
_SAME = 0.5
_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, kw_only=True, repr=False)
class Landscape(Shown):
    """What is known about a log-density before anything is fitted to it.

    Attributes
    ----------
    paths : tuple of OptimiserPath
        The ends of Pathfinder's paths, the highest mode first.
    modes : tuple of Expansion
        All modes that were met, the one with the largest mass first.
    unseen : float
        The estimated share of the mass around modes that no climb has met.
    climbs : int
        How many climbs from random points were made.
    probes : Probes or None
        Wide draws around the modes.
    cut_short : bool
        Whether time was up before the search was over.
    """

    paths: tuple[OptimiserPath, ...]
    modes: tuple[Expansion, ...] = ()
    unseen: float = 0.0
    climbs: int = 0
    probes: Probes | None = None
    cut_short: bool = False

    @property
    def main_modes(self) -> tuple[Expansion, ...]:
        """The modes whose mass matters."""
        heaviest = self.modes[:_MOST_MAIN_MODES]
        return tuple(mode for mode in heaviest if mode.log_mass > heaviest[0].log_mass + _LEAST_SHARE)

    @property
    def complete(self) -> bool:
        """Whether little of the mass may be unseen."""
        return self.unseen < _UNSEEN

    @property
    def evidence(self) -> EvidenceFound | None:
        """What the wide draws alone say of the evidence; None if it rests on a handful of them."""
        if self.probes is None:
            return None
        weighted = Weighted(self.probes.u, self.probes.log_weights)
        return EvidenceFound.of("wide draws", diagnose(weighted))

    @property
    def starts(self) -> list[LocalNormal]:
        """Normal distributions to start a fit from, the one with the highest bound first."""
        return sorted((path.best for path in self.paths), key=lambda each: each.elbo, reverse=True)


@dataclass
class _Met:
    """The modes met so far, and how often climbs from random points ended at each."""

    target: Target
    _: KW_ONLY
    modes: list[Expansion] = field(default_factory=list)
    times: Counter[int] = field(default_factory=Counter)
    by_chance: set[int] = field(default_factory=set)
    climbs: int = 0

    def add(self, points: Tensor, counted: bool, by_chance: bool = True) -> list[Expansion]:
        """Assign the ends of climbs to modes; return those that are new."""
        self.climbs += counted * len(points)
        places = self._nearest(points)
        strange = points[torch.tensor([place is None for place in places], dtype=torch.bool)]
        new = []
        for found in expand_all(self.target, strange):
            if len(self.modes) < _MOST_MODES and self._nearest(found.mode[None])[0] is None:
                self.modes.append(found)
                new.append(found)
                if by_chance:
                    self.by_chance.add(len(self.modes) - 1)
        if counted:
            self.times.update(place for place in self._nearest(points) if place is not None)
        return new

    def distances(self, points: Tensor) -> Tensor:
        """Return how far points ``(n, d)`` are from each mode, in its deviations, shape ``(k, n)``."""
        means = torch.stack([mode.mode for mode in self.modes])
        factors = torch.stack([mode.factor for mode in self.modes])
        steps = torch.linalg.solve_triangular(factors, (points - means[:, None]).mT, upper=False)
        found: Tensor = steps.norm(dim=1)
        return found

    def _nearest(self, points: Tensor) -> list[int | None]:
        if not self.modes or not len(points):
            return [None] * len(points)
        least, places = self.distances(points).min(0)
        return [
            int(place) if float(distance) < _SAME else None
            for distance, place in zip(least, places, strict=True)
        ]

    @property
    def shares(self) -> Tensor:
        """The share of each mode in the mass of all that were met."""
        return torch.softmax(torch.tensor([mode.log_mass for mode in self.modes]).double(), 0)

    def share_of(self, modes: Sequence[Expansion]) -> float:
        """Return the share of some of the modes in the mass of all that were met."""
        total = torch.logsumexp(torch.tensor([mode.log_mass for mode in self.modes]).double(), 0)
        return sum(math.exp(mode.log_mass - float(total)) for mode in modes)

    @property
    def unseen(self) -> float:
        """The share of the mass around modes that were not met, after Chao's estimate of their number.

        It is that of the modes at which no climb from a random point has ended; images may have led to some.
        """
        if len(self.modes) >= _MOST_MODES:
            # More are not kept, so that nothing is known of the others.
            return _HOPELESS
        once = [place for place, times in self.times.items() if times == 1]
        twice = sum(times == 2 for times in self.times.values())
        if not once:
            return 0.0
        shares = self.shares
        known = sum(not self.times[place] for place in range(len(shares)) if shares[place] > _NEGLIGIBLE)
        number = max(0.0, len(once) * (len(once) - 1) / (2.0 * (twice + 1)) - known)
        mass = number * float(shares[once].mean())
        return mass / (1.0 + mass)


def survey(target: Target, paths: Sequence[OptimiserPath], seed: int) -> Landscape:
    """Search for modes in rounds of climbs, from wide draws around the modes so far and from their images.

    Of many draws, climbs start at some as they come, at some of high density, and at some where the density
    is high for what the known modes explain: a narrow mode has a small basin, but stands out there. It ends
    when rounds meet no mode that matters, and modes as unequal as those met would have been met, too.

    Parameters
    ----------
    target
        The log-density.
    paths
        The ends of Pathfinder's paths.
    seed
        Of the draws.

    References
    ----------
    Chao 1984, Nonparametric estimation of the number of classes in a population (the modes not met); Good
    1953, The population frequencies of species and the estimation of population parameters.
    """
    met = _Met(target)
    looking: _Survey | None = None
    cut_short = False
    try:
        ends = torch.stack([path.point for path in paths if path.converged] or [paths[0].point])
        met.add(ends, counted=False)
        looking = _Survey(target, met, paths, torch.Generator().manual_seed(seed))
        _search(target, met, looking)
    except TimeIsUpError:
        cut_short = True
    modes = sorted(met.modes, key=lambda mode: -mode.log_mass)
    with suppress(TimeIsUpError):
        modes = [*_polished(target, modes[:_MOST_CENTRES]), *modes[_MOST_CENTRES:]]
    return Landscape(
        paths=tuple(paths),
        modes=tuple(modes),
        unseen=max(met.unseen, 0.0 if looking is None else looking.unmet),
        climbs=met.climbs,
        probes=None if looking is None else looking.probes(),
        cut_short=cut_short,
    )


def _search(target: Target, met: _Met, looking: _Survey) -> None:
    """Make rounds of climbs until no more modes are met, nor along rays."""
    _make_rounds(target, met, looking)
    if not met.modes or max(met.unseen, looking.unmet) > _UNSEEN:
        return
    heaviest = max(mode.log_mass for mode in met.modes)
    main = [mode for mode in met.modes if mode.log_mass > heaviest + _LEAST_SHARE]
    if len(main) > _RAYS_FROM:
        return
    starts = looking.along_rays(main)
    ends = climb(target, starts)
    new = met.add(ends.points[ends.converged], counted=False)
    if any(mode.log_mass > heaviest + _LEAST_SHARE for mode in new):
        _make_rounds(target, met, looking)


def _make_rounds(target: Target, met: _Met, looking: _Survey) -> None:
    fresh = list(met.modes)
    quiet = 0
    for number in range(_MOST_ROUNDS):
        images = torch.cat([_near_enough(target, met, fresh), looking.along_axes()])
        starts, by_chance = looking.starts()
        ends = climb(target, torch.cat([starts, images]))
        counted = torch.arange(len(ends.points)) < len(starts)
        chance = torch.cat([by_chance, torch.zeros(len(images), dtype=torch.bool)])
        new = met.add(ends.points[ends.converged & chance], counted=True)
        new += met.add(ends.points[ends.converged & counted & ~chance], counted=True, by_chance=False)
        new += met.add(ends.points[ends.converged & ~counted], counted=False, by_chance=False)
        if not met.modes:
            break
        heaviest = max(mode.log_mass for mode in met.modes)
        fresh = [mode for mode in new if mode.log_mass > heaviest + _LEAST_SHARE]
        quiet = 0 if fresh else quiet + 1
        enough = number + 1 >= _LEAST_ROUNDS and quiet >= min(len(met.modes), _QUIET_ROUNDS)
        if number >= _LEAST_ROUNDS and met.unseen >= _HOPELESS:
            break
        if enough and met.unseen < _WORTHWHILE:
            looking.unmet = looking.share_at_unmet_modes(number + 1)
            # More rounds of the same kind may not do, either.
            if looking.unmet < _UNSEEN or looking.share_at_unmet_modes(_MOST_ROUNDS) > _UNSEEN:
                break
    else:
        # What the last round has met, others might have added to.
        looking.unmet = max(looking.share_at_unmet_modes(_MOST_ROUNDS), met.share_of(fresh))


def _polished(target: Target, modes: Sequence[Expansion]) -> list[Expansion]:
    """Return modes where they are exactly; those that the check of their mass has lowered stay so."""
    polished = []
    for mode in modes:
        try:
            exact = expand(target, mode.mode)
        except DivergedError:
            exact = mode
        lowered = mode.log_mass < exact.log_mass - _LOWERED
        polished.append(replace(exact, log_mass=mode.log_mass) if lowered else exact)
    return polished


class _Survey:
    """Where to look next, given what was met."""

    def __init__(
        self, target: Target, met: _Met, paths: Sequence[OptimiserPath], generator: torch.Generator
    ) -> None:
        self._target, self._met, self._paths, self._generator = target, met, paths, generator
        self._climbs = max(8, min(_CLIMBS, _NUMBERS // target.size))
        self._named = target.hints.starts
        self._drawn_from = self._wide
        trial = self._drawn_from.sample(_TRIAL, generator)
        most = _SECONDS * _TRIAL / min(_seconds_of(target, trial) for _ in range(_TRIALS))
        power = min(max(math.floor(math.log2(most)), _LEAST_CANDIDATES), _MOST_CANDIDATES)
        self._candidates = 2**power
        self._last: tuple[Tensor, Tensor] | None = None
        self._looked_at: deque[tuple[Tensor, Tensor, int]] = deque(maxlen=_QUIET_ROUNDS)
        self._axes_done = 0
        self.unmet = 0.0

    @property
    def _centres(self) -> tuple[Tensor, Tensor]:
        heaviest = sorted(self._met.modes, key=lambda mode: -mode.log_mass)[:_MOST_CENTRES]
        centres = [(mode.mode, mode.factor) for mode in heaviest] or [
            (path.best.mean, path.best.factor) for path in self._paths
        ]
        return torch.stack([mean for mean, _ in centres]), torch.stack([factor for _, factor in centres])

    @property
    def _wide(self) -> WideDraws:
        return WideDraws(*self._centres, self._target.hints)

    def starts(self) -> tuple[Tensor, Tensor]:
        """Return points ``(k, d)`` to climb from, and ``(k,)`` whether their direction was left to chance."""
        wide = self._drawn_from = self._wide
        u = wide.sample(self._candidates, self._generator)
        self._last = u[:_PROBES], values_at(self._target, u)
        middling = wide.sample_about_the_middle(self._candidates, self._target.hints, self._generator)
        others = torch.cat([middling, wide.sample_in_part(self._candidates // 2, self._generator)])
        points = torch.cat([u, others])
        values = torch.cat([self._last[1], values_at(self._target, others)])
        of_no_direction = len(u) + len(middling)
        possible = torch.randperm(len(points), generator=self._generator)
        possible = possible[values[possible].isfinite()]
        points, values = points[possible], values[possible]
        if not len(points):
            return points, points.new_zeros(0, dtype=torch.bool)
        share = max(1, self._climbs // 5)
        steps = self._distances(points)
        explained = self._explained(steps)
        self._looked_at.append((points, explained, len(self._met.modes)))
        merits = [values, values - self._explained(steps, heavy=True), values - explained]
        chosen = [_best_of_groups(merit, share) for merit in merits]
        # A start among the draws of a known mode only finds it again.
        away = (steps.amin(0) > _AWAY**2 * points.shape[1]).nonzero()[:, 0]
        taken = torch.cat([*chosen, away[: self._climbs - 3 * share]])
        hinted = self._hinted()
        by_chance = torch.cat([possible[taken] < of_no_direction, torch.zeros(len(hinted), dtype=torch.bool)])
        return torch.cat([points[taken], hinted]), by_chance

    def share_at_unmet_modes(self, rounds: int) -> float:
        """Return the share of the mass at modes that so many rounds would not meet."""
        modes, shares = self._met.modes, self._met.shares
        chance = [place for place in self._met.by_chance if shares[place] > _WORTHWHILE]
        met = sorted((modes[place] for place in chance), key=lambda mode: -mode.log_mass)[:_MOST_CENTRES]
        # Since the last mode was met, all is explained alike.
        alike = [each[:2] for each in self._looked_at if each[2] == self._looked_at[-1][2]]
        points, explained = (torch.cat(parts) for parts in zip(*alike, strict=True))
        return share_at_unmet_modes(met, points, explained, rounds / len(alike))

    def along_axes(self) -> Tensor:
        """Return points ``(k, d)`` to climb from along the axes through the modes met since the last call."""
        fresh = self._met.modes[self._axes_done :]
        self._axes_done = len(self._met.modes)
        found = [torch.empty(0, self._target.size, dtype=torch.float64)]
        heaviest = sorted(fresh, key=lambda mode: -mode.log_mass)[:_MOST_AXES]
        for mode in heaviest:
            most = self._candidates // len(heaviest)
            points, values = peaks_along_axes(self._target, mode.mode, mode.factor, most, self._generator)
            found.append(points[values.argsort(descending=True)[: self._climbs // 2]])
        return torch.cat(found)

    def along_rays(self, modes: Sequence[Expansion]) -> Tensor:
        """Return points ``(k, d)`` to climb from along random rays from modes."""
        most = _RAY_CANDIDATES * self._candidates
        return peaks_along_rays(self._target, modes, most, self._generator)

    def _hinted(self) -> Tensor:
        """Return points of finite density from the range that a user gave, and at first the user's starts."""
        hints = self._target.hints
        drawn = hints.draw(self._climbs // 2 if hints.ranges else 0, self._generator)
        points = torch.cat([self._named, drawn])
        self._named = self._named[:0]
        return points[values_at(self._target, points).isfinite()]

    def probes(self) -> Probes | None:
        """Return some wide draws of the last round with their density, to hold approximations against."""
        if self._last is None:
            return None
        u, values = self._last
        return Probes(u, values[: len(u)], self._drawn_from.log_prob(u))

    def _distances(self, points: Tensor) -> Tensor:
        """Return squared distances from the centres in deviations, shape ``(k, n)``."""
        means, factors = self._centres
        return torch.stack(
            [
                torch.linalg.solve_triangular(factor, (points - mean).mT, upper=False).square().sum(0)
                for mean, factor in zip(means, factors, strict=True)
            ]
        )

    def _explained(self, steps: Tensor, heavy: bool = False) -> Tensor:
        """Return the log-density of a normal mixture around the centres; up to a constant, of Student's t.

        Parameters
        ----------
        steps
            What `_distances` returns.
        heavy
            Whether its tails are those of Student's t.
        """
        _, factors = self._centres
        size = factors.shape[1]
        shapes = -0.5 * (_DEGREES + size) * torch.log1p(steps / _DEGREES) if heavy else -0.5 * steps
        masses = torch.tensor(sorted((mode.log_mass for mode in self._met.modes), reverse=True)).double()
        masses = masses[: len(steps)] if len(masses) else torch.zeros(len(steps)).double()
        log_scales = factors.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * size * _LOG_TWO_PI
        return torch.logsumexp(shapes + (masses - log_scales)[:, None], 0)


def _seconds_of(target: Target, points: Tensor) -> float:
    began = time.perf_counter()
    values_at(target, points)
    return time.perf_counter() - began


def _best_of_groups(merits: Tensor, groups: int) -> Tensor:
    """Return the places of the best of each of several groups."""
    places = torch.arange(len(merits))
    parts = [places[number::groups] for number in range(groups)]
    return torch.stack([part[merits[part].argmax()] for part in parts if len(part)])


def _near_enough(target: Target, met: _Met, modes: Sequence[Expansion]) -> Tensor:
    """Return those images of modes ``(k, d)`` that may lie on a slope of another mode."""
    kept = [torch.empty(0, target.size, dtype=torch.float64)]
    for mode in sorted(modes, key=lambda mode: -mode.log_mass)[:_MOST_CENTRES]:
        images = images_of(mode.mode, target.parameters)
        values = values_at(target, torch.cat([mode.mode[None], images]))
        images = images[values[1:] > values[0] - _BELOW]
        if len(images):
            kept.append(images[met.distances(images).amin(0) > 2.0 * _SAME][:_CLIMBS])
    images = torch.cat(kept)
    return images[:: max(1, len(images) // (2 * _CLIMBS))]
