"""Modes that an approximation misses, which its own draws do not show."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.posteriors.diagnostics.importance import Weighted
from logpx.posteriors.target.target import Target

__all__ = ["missed_mode"]

_SHARE_THAT_MATTERS = 0.01


@torch.no_grad()
def missed_mode(
    weighted: Weighted,
    q: Distribution,
    target: Target,
    modes: Tensor,
    log_masses: Tensor,
    log_evidence: float,
) -> Tensor | None:
    """Return a mode ``(d,)`` that matters and where a draw would outweigh all draws of q together, or None.

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
        around it.
    """
    most = float(weighted.log_weights.max()) + math.log(len(weighted.u))
    heavier = target.log_prob(modes) - q.log_prob(modes).double() > most
    missed = heavier & (log_masses > log_evidence + math.log(_SHARE_THAT_MATTERS))
    return modes[int(missed.nonzero()[0])] if bool(missed.any()) else None
