"""Whether a Markov chain moves weighted draws to places without draws, which no weight shows."""

from __future__ import annotations

import math

import torch

from logpx.distributions import Distribution
from logpx.posteriors.diagnostics.importance import Weighted
from logpx.posteriors.target.target import Target

__all__ = ["share_that_leaves"]

_MOST_WALKERS = 1000
_STEPS = 60
_SCALES = (0.05, 0.2, 0.6, 1.2)
_MARGIN = 0.01


@torch.no_grad()
def share_that_leaves(weighted: Weighted, q: Distribution, target: Target, seed: int) -> float:
    """Return the share of draws that a Markov chain takes to where q is thinner than at any draw.

    A tenth of the draws, at most a thousand, are resampled by weight and take random steps of several
    lengths that leave the target invariant: exact draws would arrive anywhere as often as they leave.

    Parameters
    ----------
    weighted
        Draws from q with their weights.
    q
        The distribution of the draws.
    target
        The log-density.
    seed
        Of the steps.

    References
    ----------
    Metropolis et al. 1953, Equation of state calculations by fast computing machines; Gorham and Mackey 2015,
    Measuring sample quality with Stein's method (the idea of judging draws by a chain of the target).
    https://arxiv.org/abs/1506.03039
    """
    generator = torch.Generator().manual_seed(seed)
    weights = weighted.smoothed
    walkers = min(_MOST_WALKERS, max(len(weights) // 10, 1))
    chosen = torch.multinomial(weights, walkers, replacement=True, generator=generator)
    u = weighted.u[chosen]
    centred = weighted.u - weights @ weighted.u
    factor, failed = torch.linalg.cholesky_ex((centred * weights[:, None]).mT @ centred)
    if int(failed):
        return 0.0
    scales = torch.tensor(_SCALES, dtype=u.dtype) * 2.4 / math.sqrt(u.shape[1])
    value = target.log_prob(u)
    for _ in range(_STEPS):
        length = scales[torch.randint(len(scales), (walkers, 1), generator=generator)]
        noise = torch.randn(u.shape, generator=generator, dtype=u.dtype)
        proposed = u + length * (noise @ factor.mT)
        there = target.log_prob(proposed)
        accepted = torch.rand(walkers, generator=generator, dtype=u.dtype).log() < there - value
        u, value = torch.where(accepted[:, None], proposed, u), torch.where(accepted, there, value)
    beyond = value - q.log_prob(u) > weighted.log_weights.max() + _MARGIN
    return float(beyond.double().mean())
