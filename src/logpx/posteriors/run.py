"""One run from a log-density to a posterior: the search, the methods in turn, and the time for each."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from logpx.distributions.seeding import derived_seed
from logpx.errors import DivergedError, UsageError
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.families import normal
from logpx.posteriors.approximations.landscape import Landscape, survey
from logpx.posteriors.approximations.methods import PosteriorMethod
from logpx.posteriors.approximations.pathfinder import OptimiserPath, multi_path_pathfinder
from logpx.posteriors.approximations.polishing import Polishing
from logpx.posteriors.diagnostics.account import Account, EvidenceFound
from logpx.posteriors.diagnostics.verdict import Diagnosis, Trust, diagnose
from logpx.posteriors.posterior import Posterior
from logpx.posteriors.target.costs import Cost, TimeIsUpError
from logpx.posteriors.target.propriety import check_proper
from logpx.posteriors.target.target import Target
from logpx.representations import Shown
from logpx.training.progress import Reporter

__all__ = ["PosteriorRun", "Progress"]

# In nats.
_ALIKE = 0.1
_DIAGNOSED = 1
_LEAST_SECONDS = 0.05
_MOST_POLISHED = 3
# Parts of the time at which stages have to end.
_PATHS, _PROPER, _SEARCH, _METHODS = 0.25, 0.35, 0.5, 0.85
# About as many calls as a diagnosis makes, and the most of the time that is kept for it.
_DIAGNOSIS, _MOST_KEPT = 70, 0.4
# Of a period: modes this near to the middle of a window are far from its ends.
_NEAR_THE_MIDDLE, _WORTHWHILE = 0.3, 0.02


@dataclass(frozen=True, repr=False)
class Progress(Shown):
    """How far a run has got.

    Attributes
    ----------
    seconds : float
        Since the call began.
    cost : Cost
        That of the stage so far.
    result : str or None
        What the stage has found, once it is over.
    """

    seconds: float
    cost: Cost
    result: str | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        result = "" if self.result is None else f": {self.result}"
        return f"{self.cost.stage}{result} ({self.cost})"


class PosteriorRun:
    """A call of `posterior`.

    Parameters
    ----------
    target
        The log-density.
    seed
        Of everything random.
    draws
        How many draws a diagnosis weights.
    max_time
        The most seconds, or None.
    reporter
        Shows the progress.
    """

    def __init__(
        self, target: Target, *, seed: int, draws: int, max_time: float | None, reporter: Reporter
    ) -> None:
        self.target, self._seed, self._draws = target, seed, draws
        self._began, self._time = time.monotonic(), math.inf if max_time is None else max_time
        self._reporter, self._account = reporter, Account()
        self._meter = target.meter
        self._meter.listener = self._report
        self._results: list[Posterior] = []
        self._error: DivergedError | UsageError | None = None

    def posterior(self, methods: Sequence[PosteriorMethod]) -> Posterior:
        """Return the first result that can be trusted, or else the best.

        After several methods, the last fit is polished where only uneven weights stand in the way of trust.
        """
        try:
            return self._posterior(methods)
        finally:
            self._meter.listener, self._meter.until = None, math.inf

    def _posterior(self, methods: Sequence[PosteriorMethod]) -> Posterior:
        landscape = self._explored()
        waiting = [each.name for each in methods]
        for each in methods:
            if self._results and self._until_methods - time.monotonic() <= 0.0:
                break
            waiting.pop(0)
            found = self._attempt(each, landscape)
            if found is not None and found.diagnosis.trust is not Trust.DO_NOT:
                return self._with_costs(found)
        if len(methods) > 1:
            self._polish(landscape)
        if not self._results and self._error is not None:
            raise self._error
        best = _best(self._results) if self._results else self._start_alone(landscape)
        if time.monotonic() > self._until_methods:
            left = f"; {', '.join(waiting)} had no time" if waiting else ""
            best.note = f"max_time of {self._time:g} s was up{left}"
        return self._with_costs(best)

    def _with_costs(self, found: Posterior) -> Posterior:
        found.costs = self._meter.costs
        return found

    def _explored(self) -> Landscape:
        """Return the modes; circles are then cut far from them."""
        with self._meter.stage("search for modes"):
            landscape = self._landscape()
            modes = landscape.main_modes
            if modes and not landscape.cut_short:
                points = torch.stack([mode.mode for mode in modes])
                shares = torch.softmax(torch.tensor([mode.log_mass for mode in modes]).double(), 0)
                widths = torch.stack([mode.factor.square().sum(1).sqrt() for mode in modes])
                moved = self.target.recentred(points, shares, widths)
                before = self.target.eccentricity(points)
                if before > _NEAR_THE_MIDDLE and moved.eccentricity(points) < before - _WORTHWHILE:
                    self.target = moved
                    landscape = self._landscape()
        self._account.add([landscape.evidence])
        number = f"{len(landscape.modes):,} mode{'s' * (len(landscape.modes) != 1)}"
        self._tell(f"{number} after {landscape.climbs:,} climbs")
        return landscape

    def _landscape(self) -> Landscape:
        with self._meter.limited(self._part(_PATHS)):
            paths = self._paths()
        with self._meter.limited(self._part(_PROPER)):
            try:
                check_proper(self.target, paths[0].point)
            except TimeIsUpError:
                return Landscape(paths=tuple(paths), cut_short=True)
        with self._meter.limited(self._part(_SEARCH)):
            return survey(self.target, paths, self._seed)

    def _paths(self) -> list[OptimiserPath]:
        try:
            return multi_path_pathfinder(self.target, self._seed)
        except TimeIsUpError:
            self._meter.raise_failure()
        # Not even a start was found: a single path is the least, for which all time may be spent.
        try:
            with self._meter.limited(self._part(1.0)):
                return multi_path_pathfinder(self.target, self._seed, paths=1)
        except TimeIsUpError:
            self._meter.raise_failure()
        raise UsageError(
            f"max_time of {self._time:g} s was up before a point to start from was found, in "
            f"{self._meter.calls:,} calls of the log-density",
            fix="give more time, or make the log-density faster",
        )

    def _attempt(self, method: PosteriorMethod, landscape: Landscape) -> Posterior | None:
        """Return the result of a method, or None if it has none."""
        limited = method
        if self._time < math.inf:
            limited = method.limited_to(max(self._until_methods - time.monotonic(), _LEAST_SECONDS))
        try:
            with self._meter.stage(method.name):
                with self._meter.limited(self._until_methods):
                    approximation = limited.approximate(self.target, landscape, self._seed, self._draws)
                self._account.add(approximation.evidence)
                found = self._of(method.name, approximation, landscape)
                with self._meter.limited(self._part(1.0)):
                    # The draws are weighted here.
                    trust = found.diagnosis.trust
        except (DivergedError, UsageError) as failure:
            # Another method's draws may stay where the function is a number.
            self._error = failure
            return None
        except TimeIsUpError:
            self._meter.raise_failure()
            return None
        self._tell(f"log evidence {found.log_evidence:.3f}, {trust.value}, k-hat {found.k_hat:.2f}")
        if trust is Trust.DO_NOT:
            self._account.add([EvidenceFound.of(method.name, found.diagnosis)])
        self._results.append(found)
        return found

    def _polish(self, landscape: Landscape) -> None:
        """Fit the last result further to weighted draws of the best, while there is time and it may help."""
        for _ in range(_MOST_POLISHED):
            best = _best(self._results) if self._results else None
            if best is None or not _uneven(best.diagnosis) or self._until_methods < time.monotonic():
                return
            fitted = self._results[-1].distribution
            if not any(parameter.requires_grad for parameter in fitted.parameters()):
                return
            if self._attempt(Polishing(fitted, best.weighted), landscape) is None:
                return

    def _of(self, name: str, approximation: Approximation, landscape: Landscape) -> Posterior:
        return Posterior(
            name,
            approximation,
            self.target,
            # Draws that no fit has seen.
            seed=derived_seed(self._seed, _DIAGNOSED),
            draws=self._draws,
            landscape=landscape,
            account=self._account,
            seconds=time.monotonic() - self._began,
        )

    def _start_alone(self, landscape: Landscape) -> Posterior:
        """Return the best normal distribution on the climbs, where there was no time for any method."""
        best = landscape.starts[0]
        missed = "there was no time to fit anything: this is the best normal distribution on the climbs"
        found = self._of(
            "pathfinder", Approximation(normal(best.mean, best.factor), missed=missed), landscape
        )
        with self._meter.stage("pathfinder"), self._meter.limited(self._part(1.0)):
            _ = found.diagnosis
        return found

    @property
    def _until_methods(self) -> float:
        """When methods have to end, so that the result can still be weighted."""
        spent = time.monotonic() - self._began
        each = spent / max(self._meter.calls, 1)
        kept = min(max(1.0 - _METHODS, _DIAGNOSIS * each / self._time), _MOST_KEPT)
        return self._part(1.0 - kept)

    def _part(self, share: float) -> float:
        return self._began + share * self._time

    def _report(self, cost: Cost) -> None:
        seconds = time.monotonic() - self._began
        if self._time < math.inf:
            self._reporter.advance(min(seconds / self._time, 1.0))
        self._reporter.record(Progress(seconds, cost))

    def _tell(self, result: str) -> None:
        cost = self._meter.stages[-1]
        self._reporter.record(Progress(time.monotonic() - self._began, cost, result))


def _uneven(found: Diagnosis) -> bool:
    """Return whether nothing is known to be missed, and weights are uneven but have a mean."""
    return found.trust is Trust.DO_NOT and found.missed is None and found.k_hat < 1.0


def _best(results: Sequence[Posterior]) -> Posterior:
    """Return the result that covers most of the evidence; among equals, the one with the best weights."""
    most = max(found.log_evidence for found in results)
    alike = [found for found in results if found.log_evidence >= most - _ALIKE] or list(results)
    return min(alike, key=lambda found: diagnose(found.weighted).k_hat)
