"""Sufficient statistics of a mixture as a value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MixtureStatistics"]


@dataclass(frozen=True)
class MixtureStatistics:
    """Responsibility-weighted count, mean and centred scatter of every component, and the log-likelihood.

    Parameters
    ----------
    count
        Shape ``(K,)``.
    mean
        Shape ``(K, D)``.
    scatter
        Shape ``(K, D, D)``: weighted outer products of deviations from `mean`.
    log_likelihood
        Weighted sum of log p(x) over the rows at the parameters used, in nats.
    weight
        The sum of the rows' weights.
    """

    count: Tensor
    mean: Tensor
    scatter: Tensor
    log_likelihood: Tensor
    weight: Tensor

    def __add__(self, other: MixtureStatistics) -> MixtureStatistics:
        """Merge with the statistics of other rows at the same parameters."""
        count = self.count + other.count
        safe = count.clamp_min(torch.finfo(count.dtype).tiny)
        step = other.mean - self.mean
        between = step.unsqueeze(-1) * step.unsqueeze(-2) * (self.count * other.count / safe)[:, None, None]
        return MixtureStatistics(
            count,
            self.mean + step * (other.count / safe)[:, None],
            self.scatter + other.scatter + between,
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
        )
