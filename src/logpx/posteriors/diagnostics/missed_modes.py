"""Modes that an approximation misses, which its own draws do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.posteriors.diagnostics.importance import Weighted
from logpx.posteriors.target.curvature import log_mass
from logpx.posteriors.target.target import Target

__all__ = ["missed_mode"]

_SHARE_THAT_MATTERS = 0.01


@torch.no_grad()
def missed_mode(
    weighted: Weighted, q: Distribution, target: Target, modes: Sequence[Tensor], log_evidence: float
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
        Points ``(d,)``.
    log_evidence
        The estimate from the draws, in nats: a mode matters if more than a hundredth of the evidence lies
        around it.
    """
    most = float(weighted.log_weights.max()) + math.log(len(weighted.u))
    for mode in modes:
        weight = float(target.log_prob(mode[None])[0] - q.log_prob(mode[None])[0])
        if weight > most and log_mass(target, mode) > log_evidence + math.log(_SHARE_THAT_MATTERS):
            return mode
    return None
