"""Modes that an approximation leaves out: its own draws do not tell of them."""

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
    """Return a mode ``(d,)`` that matters, where a draw would weigh more than all draws of q do together.

    Parameters
    ----------
    weighted
        Draws from q with their weights.
    q
        What they were drawn from.
    target
        The log-density.
    modes
        Points ``(d,)``.
    log_evidence
        The estimate of the draws, in nats: a mode matters with more than a hundredth of it around itself.
    """
    most = float(weighted.log_weights.max()) + math.log(len(weighted.u))
    for mode in modes:
        weight = float(target.log_prob(mode[None])[0] - q.log_prob(mode[None])[0])
        if weight > most and log_mass(target, mode) > log_evidence + math.log(_SHARE_THAT_MATTERS):
            return mode
    return None
