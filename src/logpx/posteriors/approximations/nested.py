"""Importance nested sampling: proposals close in on ever higher densities, and all weigh every point."""

from __future__ import annotations

import math
import time
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.posteriors.approximations.particle_fit import mixture_of_particles
from logpx.posteriors.approximations.resampling import systematic
from logpx.posteriors.target.climbs import values_at
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["Levels", "nested_levels"]

# The share of the start's mass above one level that lies below the next.
_DISCARDED = 0.7
# The last level is that above which this share of the evidence lies.
_LEFT = 0.02
_MOST_LEVELS = 400
# Levels that rise by less than this over so many turns are at the top.
_STALLED, _RISE = 6, 0.01
_BISECTIONS = 20
_FEWEST = 50
# Points that are drawn with the proposals of others are not independent of them.
_DEPENDENCE = 2.0


@dataclass(frozen=True)
class Levels:
    """Weighted points from all levels.

    Attributes
    ----------
    u : Tensor
        Equally weighted, shape ``(particles, d)``.
    log_evidence, error : float
        The estimate of the log-evidence, and about its standard error, in nats; infinite where it rests on a
        handful of points.
    finished : bool
        Whether the top was reached in time.
    levels : int
        How many proposals there were, the start among them.
    """

    u: Tensor
    log_evidence: float
    error: float
    _: KW_ONLY
    finished: bool
    levels: int


class _Points:
    """Points of all levels so far, and the density of every proposal at each of them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.proposals: list[Distribution] = []
        self._counts: list[int] = []
        self._densities: list[Tensor] = []
        self._u: list[Tensor] = []
        self._log_p: list[Tensor] = []

    @torch.no_grad()
    def add(self, proposal: Distribution, count: int, seed: int) -> None:
        """Draw from a proposal, and score it at every earlier point."""
        u = proposal.sample(count, seed=seed).double()
        log_p = values_at(self._target, u)
        earlier = torch.cat(self._u) if self._u else u[:0]
        self._densities = [
            torch.cat([known, own.log_prob(u).double()])
            for known, own in zip(self._densities, self.proposals, strict=True)
        ]
        self._densities.append(proposal.log_prob(torch.cat([earlier, u])).double())
        self.proposals.append(proposal)
        self._counts.append(count)
        self._u.append(u)
        self._log_p.append(log_p)

    @property
    def u(self) -> Tensor:
        return torch.cat(self._u)

    @property
    def log_p(self) -> Tensor:
        return torch.cat(self._log_p)

    @property
    def log_start(self) -> Tensor:
        """Log-density of the start, shape ``(n,)``."""
        return self._densities[0]

    @property
    def log_mixture(self) -> Tensor:
        """Log-density of all proposals together, shape ``(n,)``."""
        shares = torch.tensor(self._counts, dtype=torch.float64)
        return torch.logsumexp(torch.stack(self._densities, 1) + (shares / shares.sum()).log(), 1)


def nested_levels(
    start: Distribution,
    target: Target,
    particles: int,
    modes: int,
    seed: int,
    max_time: float = math.inf,
) -> Levels:
    r"""Draw from a wide start q, and then from fits to what lies above rising levels of p / q.

    The next level is the quantile of :math:`p / q` above which three tenths of the mass that q has above the
    last one remain. Every point, of whatever level, is weighted by :math:`p / \sum_j \alpha_j q_j` with all
    proposals and their shares, so that fits may be rough. The end is where hardly any evidence is left above
    a level. In more than about ten dimensions a rough fit leaves too few effective points, which is said.

    Parameters
    ----------
    start
        q, wider than the density.
    target
        The log-density p.
    particles
        How many points a level.
    modes
        How many modes are known: fits with this many components are tried, too.
    seed
        Of everything random.
    max_time
        The most seconds; then `Levels.finished` is false.

    References
    ----------
    Skilling 2006, Nested sampling for general Bayesian computation; Williams, Veitch and Messenger 2023,
    Importance nested sampling with normalising flows.
    https://arxiv.org/abs/2302.08526
    """
    began = time.monotonic()
    particles = max(particles, 4 * _fewest(target.size))
    generator = torch.Generator().manual_seed(seed)
    points = _Points(target)
    finished = False
    try:
        points.add(start, particles, seed)
        level, risen = -math.inf, [-math.inf] * _STALLED
        while len(points.proposals) < _MOST_LEVELS and time.monotonic() - began < max_time:
            log_q = points.log_mixture
            gap = (points.log_p - points.log_start).nan_to_num(-math.inf, math.inf, -math.inf)
            level = _next_level(gap, points.log_start - log_q, level, points.u.shape[1])
            above = gap > level
            finished = not bool(above.any()) or _is_over(torch.softmax(points.log_p - log_q, 0), above)
            risen.append(level)
            # Where levels no longer rise, what was found has to do: the weights of a fit to it will tell.
            finished = finished or level - risen[-_STALLED - 1] < _RISE
            if finished:
                break
            weights = _flattened((points.log_start - log_q)[above], points.u.shape[1])
            chosen = points.u[above][systematic(weights, particles, generator)]
            fit = mixture_of_particles(chosen, modes, seed, target.meter.until)
            points.add(fit, particles, seed + len(points.proposals))
    except TimeIsUpError:
        if not points.proposals:
            raise
    log_weights = points.log_p - points.log_mixture
    return _ended(points, log_weights, particles, generator, finished)


def _next_level(gap: Tensor, log_weights: Tensor, level: float, size: int) -> float:
    """Return the level above which the wanted share of the start's mass remains, and enough for a fit."""
    live = gap > level
    order = gap[live].argsort()
    weights = _flattened(log_weights[live][order], size)
    place = int(torch.searchsorted(weights.cumsum(0), torch.tensor(_DISCARDED, dtype=weights.dtype)))
    place = max(0, min(place, len(order) - _fewest(size) - 1))
    return float(gap[live][order[place]])


def _fewest(size: int) -> int:
    """Return how many points a fit of a covariance needs to be off by half a nat."""
    return max(_FEWEST, size * (size + 3) // 2)


def _flattened(log_weights: Tensor, size: int) -> Tensor:
    """Return weights, raised to the highest power up to 1 that leaves as many effective as a fit needs.

    They decide where to look next, and not what is found there.
    """
    wanted = min(_fewest(size), len(log_weights) // 2)
    low, high = 0.0, 1.0
    power = 1.0
    for _ in range(_BISECTIONS):
        shares = torch.softmax(power * log_weights, 0)
        if float(1.0 / shares.square().sum()) >= wanted:
            low = power
        else:
            high = power
        if low == 1.0:
            break
        power = 0.5 * (low + high)
    return torch.softmax(low * log_weights, 0)


def _is_over(shares: Tensor, above: Tensor) -> bool:
    """Return whether little evidence is left above a level, as far as more than a few points can tell."""
    effective = float(1.0 / shares.square().sum())
    return effective > _FEWEST and float(shares[above].sum()) < _LEFT


def _ended(
    points: _Points, log_weights: Tensor, particles: int, generator: torch.Generator, finished: bool
) -> Levels:
    count = len(log_weights)
    shares = torch.softmax(log_weights, 0)
    if not bool(shares.isfinite().all()):
        u = points.u[:particles]
        return Levels(u, -math.inf, math.inf, finished=False, levels=len(points.proposals))
    log_evidence = float(torch.logsumexp(log_weights, 0)) - math.log(count)
    squares = float(shares.square().sum())
    error = _DEPENDENCE * math.sqrt(max(squares - 1.0 / count, 0.0)) if squares * _FEWEST < 1.0 else math.inf
    u = points.u[systematic(shares, particles, generator)]
    return Levels(u, log_evidence, error, finished=finished, levels=len(points.proposals))
