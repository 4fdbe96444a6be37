"""The evidence from draws of both an approximation and the posterior itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BridgeEstimate", "batch_means_error", "bridge_sampling"]

_HALVINGS = 200
_MARGIN = 50.0


@dataclass(frozen=True)
class BridgeEstimate:
    """An estimate of a log-evidence, with the influence of each draw on it.

    Attributes
    ----------
    log_evidence : float
        In nats; NaN if one side has no finite log-weight.
    of_proposal, of_posterior : Tensor
        How far each draw moves it, times the number of draws on its side: shapes ``(n,)`` and ``(m,)``.
    """

    log_evidence: float
    of_proposal: Tensor
    of_posterior: Tensor


def bridge_sampling(proposal: Tensor, posterior: Tensor) -> BridgeEstimate:
    r"""Estimate the log-evidence by bridge sampling, unbiased by mass that the approximation misses.

    With the log-weights :math:`l = \log \tilde p - \log q` of n draws of q and m of p, it is the c with

    .. math:: \sum_q \sigma(l - c + \log \tfrac{m}{n}) = \sum_p \sigma(c - l - \log \tfrac{m}{n})

    Parameters
    ----------
    proposal
        Log-weights of draws from q, shape ``(n,)``.
    posterior
        Log-weights of draws from the posterior, shape ``(m,)``.

    References
    ----------
    Bennett 1976, Efficient estimation of free energy differences from Monte Carlo data; Meng and Wong 1996,
    Simulating ratios of normalizing constants via a simple identity.

    Examples
    --------
    >>> round(bridge_sampling(torch.full((10,), 2.5), torch.full((20,), 2.5)).log_evidence, 6)
    2.5
    """
    ratio = math.log(len(posterior) / len(proposal))
    sides = [part[part.isfinite()] for part in (proposal.double(), posterior.double())]
    if not all(len(side) for side in sides):
        return BridgeEstimate(
            math.nan, torch.full_like(proposal, torch.nan), torch.full_like(posterior, torch.nan)
        )
    both = torch.cat(sides)
    low, high = float(both.min()) - _MARGIN, float(both.max()) + _MARGIN
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        shift = ratio - middle
        surplus = torch.sigmoid(proposal + shift).sum() - torch.sigmoid(-posterior - shift).sum()
        low, high = (middle, high) if float(surplus) > 0.0 else (low, middle)
    shift = ratio - low
    upper, lower = torch.sigmoid(proposal + shift), torch.sigmoid(-posterior - shift)
    return BridgeEstimate(low, upper / upper.mean() - 1.0, 1.0 - lower / lower.mean())


def batch_means_error(drawn: Tensor) -> float:
    """Return the standard error of the mean of numbers ``(n,)`` along a chain, by the means of batches.

    References
    ----------
    Flegal and Jones 2010, Batch means and spectral variance estimators in Markov chain Monte Carlo.
    """
    length = math.isqrt(len(drawn))
    batches = drawn[: len(drawn) // length * length].view(-1, length).mean(1)
    return float(batches.std()) / math.sqrt(len(batches))
