"""Wider tails for a fitted flow: importance weights need a proposal that is nowhere far too thin."""

from __future__ import annotations

import math

import torch

from logpx.distributions import DiagonalNormal, Flow
from logpx.inference.pareto import k_hat
from logpx.posteriors.diagnosis import weigh
from logpx.posteriors.moved import Moved
from logpx.posteriors.target import Target

__all__ = ["widened"]

_SCALES = (1.0, 1.05, 1.1, 1.2)
_GOOD = 0.5
_DRAWS = 10_000


def widened(q: Moved, target: Target, seed: int) -> Moved:
    """Return q, or q with the noise of its flow so much wider that the weights' tail is lightest.

    Only where the tail is heavy: width costs evidence lower bound.

    Parameters
    ----------
    q
        A fitted distribution; one that holds no flow of normal noise stays as it is.
    target
        The log-density.
    seed
        Of the draws that compare widths.

    References
    ----------
    Owen 2013, Monte Carlo theory, methods and examples, section 9.11 (proposals with heavier tails).
    """
    if not isinstance(q.inside, Flow):
        return q
    best, best_shape = q, math.inf
    for scale in _SCALES:
        wide = q if scale == 1.0 else Moved(_scaled(q.inside, scale), q.shift, q.factor)
        shape = float(k_hat(weigh(wide, target, _DRAWS, seed).log_weights[:, None])[0])
        if shape < best_shape:
            best, best_shape = wide, shape
        if best_shape < _GOOD:
            break
    return best


def _scaled(flow: Flow, scale: float) -> Flow:
    base = DiagonalNormal(flow.event_shape[0]).to(flow._like())
    with torch.no_grad():
        base.log_scale.fill_(math.log(scale))
    return Flow(base, flow.transform)
