"""Modes that an approximation misses, which its own draws do not show."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.posteriors.diagnostics.importance import Weighted
from logpx.posteriors.target.target import Target

__all__ = ["missed_mode"]

# Of a single mode, and of all that are missed.
_SHARE_THAT_MATTERS, _SHARE_OF_ALL = 0.01, 0.02


@torch.no_grad()
def missed_mode(
    weighted: Weighted,
    q: Distribution,
    target: Target,
    modes: Tensor,
    log_masses: Tensor,
    log_evidence: float,
) -> Tensor | None:
    """Return the heaviest mode ``(d,)`` where a draw would outweigh all draws of q together, if that matters.

    Parameters
    ----------
    weighted
        Draws from q with their weights.
    q
        The distribution of the draws.
    target
        The log-density.
    modes
        Points ``(k, d)``.
    log_masses
        The log of the mass around each in nats, shape ``(k,)``.
    log_evidence
        The estimate from the draws, in nats: a mode matters if more than a hundredth of the evidence lies
        around it, and many small ones if a fiftieth lies around them together.
    """
    most = float(weighted.log_weights.max()) + math.log(len(weighted.u))
    heavier = target.log_prob(modes) - q.log_prob(modes).double() > most
    if not bool(heavier.any()):
        return None
    shares = (log_masses[heavier] - log_evidence).exp()
    matters = float(shares.max()) > _SHARE_THAT_MATTERS or float(shares.sum()) > _SHARE_OF_ALL
    return modes[heavier][int(shares.argmax())] if matters else None
