"""Tempered sequential Monte Carlo: particles follow a density from a wide start, and need no modes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.posteriors.approximations.resampling import systematic
from logpx.posteriors.target.climbs import values_at
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["Particles", "temper"]

# The share of effective particles after a change of temperature.
_KEPT = 0.8
_BISECTIONS = 40
_FEWEST_MOVES, _MOST_MOVES = 4, 60
# Mean number of accepted moves of a particle at a temperature.
_ACCEPTED = 5.0
_LEAPFROGS = 5
_WANTED = 0.75
_JUMP = 0.15

Density = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Particles:
    """Draws that tempering ends with.

    Attributes
    ----------
    u : Tensor
        Equally weighted, shape ``(n, d)``.
    log_evidence, error : float
        The estimate of the log-evidence, and about its standard error, in nats.
    finished : bool
        Whether the temperature reached 1 in time.
    """

    u: Tensor
    log_evidence: float
    error: float
    finished: bool


class _Walk:
    """Moves of all particles that leave the tempered density invariant."""

    def __init__(self, start: Distribution, target: Target, generator: torch.Generator) -> None:
        self._start, self._target, self._generator = start, target, generator
        self.step = 0.5

    def both(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-densities of start and target, shape ``(n,)`` each."""
        with torch.no_grad():
            return self._start.log_prob(u).double(), values_at(self._target, u)

    def differential(self, u: Tensor, log_q: Tensor, value: Tensor, power: float) -> tuple[Tensor, ...]:
        """Move each half of the particles along differences of the other half (ter Braak 2006)."""
        n, size = u.shape
        order = torch.randperm(n, generator=self._generator)
        accepted = u.new_zeros(())
        for mine, other in (order.chunk(2), order.chunk(2)[::-1]):
            first, second = (u[other[self._integers(len(other), len(mine))]] for _ in range(2))
            scale = 2.38 / math.sqrt(2.0 * size) * (0.2 + self._uniform(len(mine), 1))
            scale = torch.where(self._uniform(len(mine), 1) < _JUMP, 1.0, scale)
            proposed = u[mine] + scale * (first - second) + 1e-4 * self._normal(len(mine), size)
            accepted = accepted + self._decide(u, log_q, value, power, mine, proposed, 0.0)
        return u, log_q, value, accepted / n

    def hamiltonian(self, u: Tensor, log_q: Tensor, value: Tensor, power: float) -> tuple[Tensor, ...]:
        """Move along trajectories of Hamiltonian dynamics, in the units of the particles' spread."""
        unit = u.std(0).clamp_min(1e-12)
        momentum = self._normal(*u.shape)
        energy = 0.5 * momentum.square().sum(1)
        length = self.step * (0.7 + 0.6 * float(self._uniform(1)[0])) * u.shape[1] ** -0.25
        place, slope = u, self._slope(u, power)
        for _ in range(_LEAPFROGS):
            momentum = momentum + 0.5 * length * unit * slope
            place = place + length * unit * momentum
            slope = self._slope(place, power)
            momentum = momentum + 0.5 * length * unit * slope
        change = energy - 0.5 * momentum.square().sum(1)
        change = torch.where(place.isfinite().all(1), change, -math.inf)
        place = torch.where(place.isfinite(), place, u)
        accepted = self._decide(u, log_q, value, power, torch.arange(len(u)), place, change)
        share = float(accepted) / len(u)
        self.step = min(2.0, max(1e-3, self.step * math.exp(0.5 * (share - _WANTED))))
        return u, log_q, value, accepted / len(u)

    def _decide(
        self,
        u: Tensor,
        log_q: Tensor,
        value: Tensor,
        power: float,
        mine: Tensor,
        proposed: Tensor,
        change: Tensor | float,
    ) -> Tensor:
        there_q, there = self.both(proposed)
        gain = _mixed(there_q, there, power) - _mixed(log_q[mine], value[mine], power) + change
        taken = self._uniform(len(mine)).log() < gain
        moved = mine[taken]
        u[moved], log_q[moved], value[moved] = proposed[taken], there_q[taken], there[taken]
        return taken.sum().double()

    def _slope(self, u: Tensor, power: float) -> Tensor:
        points = u.detach().requires_grad_()
        try:
            with torch.enable_grad():
                total = _mixed(self._start.log_prob(points).double(), self._target.log_prob(points), power)
                (slope,) = torch.autograd.grad(total.sum(), points)
        except Exception:
            # Far out a user's function may fail: such a proposal is refused by its value.
            return torch.zeros_like(u)
        self._target.meter.gradients += len(u)
        return torch.where(slope.isfinite(), slope, 0.0).clamp(-1e6, 1e6)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator, dtype=torch.float64)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, dtype=torch.float64)

    def _integers(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator)


def temper(
    start: Distribution, target: Target, particles: int, seed: int, max_time: float = math.inf
) -> Particles:
    r"""Follow :math:`q^{1-\beta} p^\beta` from β = 0, where particles are draws of a wide q, to β = 1.

    Each change of β keeps four fifths of the particles effective; then they are resampled and moved along
    each other's differences, which may lead from mode to mode, and along Hamiltonian trajectories.

    Parameters
    ----------
    start
        q, wider than the density.
    target
        The log-density p.
    particles
        How many particles, an even number.
    seed
        Of everything random.
    max_time
        The most seconds; then `Particles.finished` is false.

    References
    ----------
    Del Moral, Doucet and Jasra 2006, Sequential Monte Carlo samplers; ter Braak 2006, A Markov chain Monte
    Carlo version of the genetic algorithm differential evolution; Neal 2011, MCMC using Hamiltonian dynamics.
    https://arxiv.org/abs/cond-mat/0212648
    https://arxiv.org/abs/1206.1901
    """
    began = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    walk = _Walk(start, target, generator)
    with torch.no_grad():
        u = start.sample(particles, seed=seed).double()
    log_q, value = walk.both(u)
    power, log_evidence, variance = 0.0, 0.0, 0.0
    while power < 1.0:
        if time.monotonic() - began > max_time or target.meter.left < 0.0:
            return Particles(u, log_evidence, math.inf, finished=False)
        gap = value - log_q
        grown = _next_power(gap, power)
        weights = (grown - power) * gap
        log_evidence += float(torch.logsumexp(weights, 0)) - math.log(particles)
        shares = torch.softmax(weights, 0)
        if not bool(shares.isfinite().all()):
            return Particles(u, -math.inf, math.inf, finished=False)
        variance += float(shares.square().sum()) - 1.0 / particles
        chosen = systematic(shares, particles, generator)
        u, log_q, value, power = u[chosen].clone(), log_q[chosen].clone(), value[chosen].clone(), grown
        accepted = 0.0
        for move in range(_MOST_MOVES):
            kind = walk.hamiltonian if move % 2 else walk.differential
            try:
                u, log_q, value, share = kind(u, log_q, value, power)
            except TimeIsUpError:
                return Particles(u, log_evidence, math.inf, finished=False)
            accepted += float(share)
            if move + 1 >= _FEWEST_MOVES and accepted >= _ACCEPTED:
                break
    # Particles move too little to be independent: twice the error of independent ones is nearer the truth.
    return Particles(u, log_evidence, 2.0 * math.sqrt(variance), finished=True)


def _mixed(log_q: Tensor, value: Tensor, power: float) -> Tensor:
    return (1.0 - power) * log_q + power * value


def _next_power(gap: Tensor, power: float) -> float:
    """Return the largest power at which enough of the particles that can count remain effective."""
    possible = gap.isfinite().double().mean()

    def kept(grown: float) -> float:
        shares = torch.softmax((grown - power) * gap, 0)
        return float(1.0 / (len(gap) * shares.square().sum()))

    if kept(1.0) >= _KEPT * possible:
        return 1.0
    low, high = power, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if kept(middle) >= _KEPT * possible else (low, middle)
    return max(low, power + 1e-12)
