"""Mixtures of approximations, one for each mode, with the weights that importance sampling gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from logpx.distributions import Distribution, Mixture
from logpx.errors import DivergedError, UsageError
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["mixture_of"]

_TURNS = 3
_DRAWS = 4000
_LEAST = 1e-5


@torch.no_grad()
def mixture_of(
    components: Sequence[Distribution], log_masses: Sequence[float], target: Target, seed: int
) -> Distribution:
    """Return a mixture of approximations of parts of a log-density; a single one as it is.

    Parameters
    ----------
    components
        Distributions over the unconstrained vector.
    log_masses
        About how much mass each stands for, in nats.
    target
        The log-density.
    seed
        Of the draws that correct the weights.

    References
    ----------
    Cappé, Douc, Guillin, Marin and Robert 2008, Adaptive importance sampling in general mixture classes.
    https://arxiv.org/abs/0710.4242
    """
    if len(components) == 1:
        return components[0]
    shares = torch.softmax(torch.tensor(log_masses, dtype=torch.float64), 0)
    for turn in range(_TURNS):
        q = _mixture(components, shares)
        try:
            found = weigh(q, target, max(_DRAWS, 50 * len(components)), seed + turn)
        except (DivergedError, UsageError, TimeIsUpError):
            break
        own = torch.stack([part.log_prob(found.u).double() for part in components], 1) + shares.log()
        weights = len(own) * torch.softmax(found.log_weights, 0)
        if not bool(weights.isfinite().all()):
            break
        parts = torch.softmax(own, 1)
        # The mean weight around each mode, not the sum: how many draws chance sent there does not matter.
        shares = (shares * (weights @ parts + 1.0) / (parts.sum(0) + 1.0)).clamp_min(_LEAST)
        shares = shares / shares.sum()
    return _mixture(components, shares)


def _mixture(components: Sequence[Distribution], shares: torch.Tensor) -> Distribution:
    weights = [max(weight, math.exp(-30.0)) for weight in shares.tolist()]
    return Mixture(list(components), weights).double()
