"""Reverse KL by stochastic gradients, until the bound rises by no more than its noise."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field

import torch

from logpx.distributions import Distribution
from logpx.distributions.private_randomness import private_randomness
from logpx.errors import DivergedError
from logpx.inference.objectives.estimators import GradientEstimator, PathGradient
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Estimate, Target
from logpx.representations import Shown
from logpx.transforms import TriangularAffine

__all__ = ["ReverseKL", "minimise_reverse_kl"]

_TRIAL_STEPS = 40
# Of the time.
_MOST_FOR_TRIALS = 0.3
_LEAST_DECAYS = 4
_MOST_LOST = 0.5
_CLIP = 100.0
_LEAST_WEIGHT = 0.3


@dataclass(frozen=True, kw_only=True, repr=False)
class ReverseKL(Shown):
    """Options of a fit by reverse KL.

    Attributes
    ----------
    draws : int
        Draws per step.
    rates : tuple of float
        Learning rates to try; the one that does best in a short trial is used.
    window : int
        Steps between comparisons of the bound.
    max_steps : int
        The most steps.
    max_time : float
        The most seconds.
    annealing : int
        Steps during which the weight of the log-density rises to 1, so that q finds more than the nearest
        mode.
    restarts : int
        How many fits to make, from the best normal distributions along Pathfinder's paths; the one with the
        highest bound is kept. The limits of steps and seconds hold for each.
    estimator : GradientEstimator
        The estimator of the gradient.
    """

    draws: int = 256
    rates: tuple[float, ...] = (3e-2, 1e-2, 3e-3)
    window: int = 100
    max_steps: int = 10_000
    max_time: float = 60.0
    annealing: int = 0
    restarts: int = 1
    estimator: GradientEstimator = field(default_factory=PathGradient)


def minimise_reverse_kl(
    q: Distribution,
    units: TriangularAffine,
    target: Target,
    options: ReverseKL,
    seed: int = 0,
    trace: list[float] | None = None,
) -> int:
    """Fit q in place to a log-density in other units, and return the number of steps.

    The learning rate falls whenever the bound, averaged over a window of steps, has not risen by more than
    its Monte Carlo error; the parameters returned are a running average.

    Parameters
    ----------
    q
        A distribution of v, initially about standard normal, in any precision.
    units
        The map from the unconstrained vector u to v, in float64.
    target
        The log-density of u.
    options
        How to fit it.
    seed
        Of the draws.
    trace
        Takes the bound at each step, in nats.

    Raises
    ------
    DivergedError
        If the log-density is not finite at most draws.

    References
    ----------
    Agrawal and Domke 2024, Disentangling impact of capacity, objective, batchsize, estimators, and step-size
    on flow VI; Dhaka et al. 2020, Robust, accurate stochastic optimization for variational inference.
    https://arxiv.org/abs/2412.08824
    https://arxiv.org/abs/2009.00666
    """
    began = time.monotonic()
    bound = _Bound(q, units, target, options)
    with private_randomness(seed):
        estimate = target.estimates_near(units.shift)
        optimiser = torch.optim.Adam(q.parameters(), lr=bound.best_rate(estimate))
        average = [parameter.detach().clone() for parameter in q.parameters()]
        bounds: list[float] = []
        previous: tuple[float, float] | None = None
        decays = 0
        for step in range(options.max_steps):
            rise = min(1.0, (step + 1) / options.annealing) if options.annealing else 1.0
            weight = _LEAST_WEIGHT + (1.0 - _LEAST_WEIGHT) * rise
            try:
                bounds.append(bound.climb(estimate, optimiser, weight))
            except TimeIsUpError:
                break
            if trace is not None:
                trace.append(bounds[-1])
            for mean, parameter in zip(average, q.parameters(), strict=True):
                mean.lerp_(parameter.detach(), 0.02)
            if time.monotonic() - began > options.max_time:
                break
            if weight < 1.0 or len(bounds) < options.window:
                continue
            values = torch.tensor(bounds, dtype=torch.float64)
            bounds.clear()
            found = float(values.mean()), float(values.std() / math.sqrt(len(values)))
            if previous is not None and found[0] - previous[0] < 2.0 * math.hypot(found[1], previous[1]):
                decays += 1
                for group in optimiser.param_groups:
                    group["lr"] *= 0.4
                if decays == _LEAST_DECAYS:
                    break
            previous = found
            with torch.no_grad():
                v = q.sample(options.draws, seed=seed).double()
                estimate = target.estimates_near(units.inverse(v)[0].mean(0))
        with torch.no_grad():
            for mean, parameter in zip(average, q.parameters(), strict=True):
                parameter.copy_(mean)
    return step + 1


@dataclass(frozen=True)
class _Bound:
    """The evidence lower bound of a distribution in its own units, and steps that raise it."""

    q: Distribution
    units: TriangularAffine
    target: Target
    options: ReverseKL

    def climb(self, estimate: Estimate, optimiser: torch.optim.Optimizer, weight: float) -> float:
        """Take a step with the given weight of the log-density; return the bound before it, in nats."""
        v, log_q = self.options.estimator.draw(self.q, self.options.draws)
        u, ladj = self.units.inverse(v.double())
        value, slope = estimate(u)
        good = value.isfinite() & slope.isfinite().all(1)
        if int(good.sum()) < (1.0 - _MOST_LOST) * len(u):
            bad = int((~good).nonzero()[0])
            raise DivergedError(
                f"log_density or its gradient is not finite at {len(u) - int(good.sum())} of {len(u)} draws, "
                f"first at {self.target.describe(u[bad].detach())}",
                fix="make it finite for every point of the parameters' range; bound them with Positive() or "
                "Interval() where the density ends",
            )
        # The gradient of the log-density reaches q only through the draws.
        along = (slope[good] * u[good]).sum(1)
        loss = (log_q[good] - weight * along).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        # The gradient at a draw far out may overflow single precision: skip such a step.
        if math.isfinite(float(torch.nn.utils.clip_grad_norm_(list(self.q.parameters()), _CLIP))):
            optimiser.step()
        return float((value + ladj - log_q.detach())[good].mean())

    def _has_time_for_trials(self, estimate: Estimate) -> bool:
        """Return whether short trials of every rate leave most of the time for the fit."""
        start = copy.deepcopy(self.q.state_dict())
        began = time.monotonic()
        try:
            self.climb(estimate, torch.optim.Adam(self.q.parameters(), lr=min(self.options.rates)), 1.0)
        except (TimeIsUpError, DivergedError):
            return False
        finally:
            self.q.load_state_dict(start)
        steps = _TRIAL_STEPS * len(self.options.rates)
        left = min(self.options.max_time, self.target.meter.left)
        return steps * (time.monotonic() - began) < _MOST_FOR_TRIALS * left

    def best_rate(self, estimate: Estimate) -> float:
        """Return the learning rate that gets furthest in a few steps; q is left unchanged."""
        rates = self.options.rates
        if len(rates) > 1 and not self._has_time_for_trials(estimate):
            return rates[len(rates) // 2]
        start = copy.deepcopy(self.q.state_dict())
        best, best_bound = rates[-1], -math.inf
        for rate in rates if len(rates) > 1 else ():
            optimiser = torch.optim.Adam(self.q.parameters(), lr=rate)
            try:
                bounds = [self.climb(estimate, optimiser, 1.0) for _ in range(_TRIAL_STEPS)]
            except (DivergedError, TimeIsUpError):
                bounds = [-math.inf]
            self.q.load_state_dict(start)
            late = bounds[-_TRIAL_STEPS // 4 :]
            bound = sum(late) / len(late)
            if bound > best_bound:
                best, best_bound = rate, bound
        return best
