"""Deviations from every mean: slower than features, but exact however narrow and distant a component is."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.latent.covariances.diagonal import DiagonalCovariance
from logpx.latent.e_step.base import NormalParameters, SumOfParts

__all__ = ["DirectDeviations"]

_TINY = torch.finfo(torch.float64).tiny


class DirectDeviations(SumOfParts):
    """Sums of deviations from the current means, for any kind of covariance."""

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        self._deviations = parameters.means.new_empty(0)
        self._present: Tensor | None = None

    def log_prob(self, x: Tensor) -> Tensor:
        """Subtract the means; under diagonal covariances missing cells drop out."""
        covariance = self.parameters.covariance
        self._deviations = x - self.parameters.means[:, None]
        self._present = None
        missing = x.isnan()
        if isinstance(covariance, DiagonalCovariance) and bool(missing.any()):
            self._present = (~missing).to(x.dtype)
            self._deviations = self._deviations.masked_fill(missing, 0.0)
            return (covariance.log_normal_of_each(self._deviations) * self._present).sum(-1)
        return covariance.log_normal(self._deviations)

    def add(self, shares: Tensor) -> None:
        """Add products of deviations."""
        covariance, deviations = self.parameters.covariance, self._deviations
        count = shares.sum(1, keepdim=True)
        if covariance.diagonal:
            present = torch.ones_like(deviations[0]) if self._present is None else self._present
            count = shares @ present
        step = (shares.unsqueeze(-2) @ deviations).squeeze(-2) / count.clamp_min(_TINY)
        if covariance.diagonal:
            scatter = (shares.unsqueeze(-2) @ deviations.square()).squeeze(-2)
        else:
            scatter = (deviations * shares.unsqueeze(-1)).mT @ deviations
        self._add_part(count, step, scatter)
