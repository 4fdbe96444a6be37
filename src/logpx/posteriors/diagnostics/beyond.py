"""How much of the mass lies where an approximation is thinner than at any of its draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.posteriors.diagnostics.importance import Weighted

__all__ = ["share_beyond"]

_FEWEST = 3.0
_MARGIN = 0.5


@torch.no_grad()
def share_beyond(
    weighted: Weighted, q: Distribution, points: Tensor, values: Tensor, log_proposal: Tensor
) -> float:
    """Return the share of the mass at points that would outweigh every draw of q; 0 if too few show it.

    Parameters
    ----------
    weighted
        Draws from q with their weights.
    q
        The distribution of the draws.
    points
        Draws from a much wider distribution, shape ``(n, d)``.
    values
        The log-density there, shape ``(n,)``.
    log_proposal
        The log-density of the wider distribution there, shape ``(n,)``.
    """
    possible = values.isfinite()
    beyond = values[possible] - q.log_prob(points[possible]).double() > weighted.log_weights.max() + _MARGIN
    weights = (values - log_proposal)[possible][beyond]
    if not len(weights):
        return 0.0
    if float(torch.softmax(weights, 0).square().sum()) > 1.0 / _FEWEST:
        return 0.0
    log_mass = float(torch.logsumexp(weights, 0)) - math.log(len(points))
    inside = float(torch.logsumexp(weighted.log_weights, 0)) - math.log(len(weighted.u))
    return 1.0 / (1.0 + math.exp(min(700.0, inside - log_mass)))
