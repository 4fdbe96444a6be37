"""Importance weights of an approximation's draws: how much more likely each is in the posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import DivergedError, UsageError
from logpx.inference.pareto import smoothed
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["DRAWS", "Weighted", "weigh"]

# How many draws the diagnosis weights.
DRAWS = 10_000
_CHUNK = 4096
# The first draws, where time is short.
_TRIAL = 500
_MOST_UNDEFINED = 0.01


@dataclass(frozen=True)
class Weighted:
    """Draws from q with their importance weights.

    Attributes
    ----------
    u : Tensor
        Unconstrained draws, shape ``(S, d)``.
    log_weights : Tensor
        log p(u) − log q(u) in nats, shape ``(S,)``; minus infinity where p is 0.
    undefined : str or None
        At how many draws the log-density is NaN, in words.
    """

    u: Tensor
    log_weights: Tensor
    undefined: str | None = None

    @property
    def smoothed(self) -> Tensor:
        """Pareto-smoothed weights that sum to 1, shape ``(S,)``."""
        return torch.softmax(smoothed(self.log_weights), 0)

    @property
    def mcse(self) -> float:
        """The largest Monte Carlo standard error of a mean or deviation, in standard deviations."""
        weights, squared = self.smoothed, self.smoothed.square()
        centred = self.u - weights @ self.u
        variances = weights @ centred.square()
        of_means = (squared @ centred.square()) / variances
        of_deviations = (squared @ (centred.square() - variances).square()) / (2.0 * variances).square()
        worst = float(torch.cat([of_means, of_deviations]).max())
        return math.sqrt(worst) if math.isfinite(worst) else math.inf


@torch.no_grad()
def weigh(q: Distribution, target: Target, draws: int, seed: int) -> Weighted:
    """Draw from q and weight the draws.

    If the log-density is NaN at a few draws, these count as impossible and are reported.

    Raises
    ------
    UsageError
        If it is NaN at more draws; a point is named.
    DivergedError
        If it is plus infinity at a draw; the point is named.
    """
    u, log_q = q.sample_with_log_prob(draws, seed=seed)
    values = _values(target, u.double())
    u, log_q = u[: len(values)], log_q[: len(values)]
    infinite, undefined = values == torch.inf, values.isnan()
    if bool(infinite.any()):
        raise DivergedError(
            f"log_density is inf at {_first(target, u, infinite)}",
            fix="make it finite for every point of the parameters' range",
        )
    note = None
    if bool(undefined.any()):
        count = int(undefined.sum())
        note = f"log_density is nan at {count:,} of {draws:,} draws, first at {_first(target, u, undefined)}"
        if count > _MOST_UNDEFINED * draws:
            raise UsageError(note, fix="make it a number, or minus infinity, for every point of the range")
        values = values.masked_fill(undefined, -torch.inf)
    return Weighted(u.double(), values - log_q.double(), note)


def _values(target: Target, u: Tensor) -> Tensor:
    """Return the log-density at points ``(n, d)``; at fewer of them, if time is up before."""
    found: list[Tensor] = []
    hurried = target.meter.left < math.inf
    for part in [*([u[:_TRIAL]] if hurried else []), *torch.split(u[_TRIAL * hurried :], _CHUNK)]:
        try:
            found.append(target.log_prob(part))
        except TimeIsUpError:
            if not found:
                raise
            break
    return torch.cat(found)


def _first(target: Target, u: Tensor, wrong: Tensor) -> str:
    return target.describe(u[int(wrong.nonzero()[0])].double())
