"""Diagonal covariances: one variance per feature, or one for all features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from logpx.latent.covariances.base import NO_ROWS, Covariance

__all__ = ["DiagonalCovariance", "SphericalCovariance"]


class DiagonalCovariance(Covariance):
    """One variance per feature, stored as the logarithm of the standard deviation.

    Parameters
    ----------
    components, features, tied
        As in `Covariance`.

    Examples
    --------
    >>> DiagonalCovariance(components=3, features=2).free_parameters
    6
    """

    diagonal = True

    def __init__(self, components: int, features: int, tied: bool = False) -> None:
        super().__init__(components, features, tied)
        self.log_scales = nn.Parameter(torch.zeros(self.blocks, self._scales()))

    def _scales(self) -> int:
        return self.features

    @property
    def free_parameters(self) -> int:
        """One per scale."""
        return self.log_scales.numel()

    def _each(self) -> Tensor:
        return self.log_scales.expand(self.blocks, self.features)

    def variances(self) -> Tensor:
        """Return the variances, shape ``(blocks, D)``."""
        return torch.exp(2.0 * self._each())

    def roots(self) -> Tensor:
        """Return the standard deviations on diagonals, in float64."""
        return torch.diag_embed(self._each().double().exp())

    def matrices(self) -> Tensor:
        """Return the covariance matrices in float64, shape ``(blocks, D, D)``."""
        return torch.diag_embed(self.variances().double())

    def precisions(self) -> tuple[Tensor, Tensor]:
        """Return the inverse variances and the log-determinants, in float64."""
        logarithms = self._each().double()
        return torch.exp(-2.0 * logarithms), 2.0 * logarithms.sum(-1)

    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of deviations, shape ``(K, n)``."""
        return self.log_normal_of_each(deviations).sum(-1)

    def log_normal_of_each(self, deviations: Tensor) -> Tensor:
        """Return the log-density of each feature alone, in the shape of the deviations."""
        logarithms = self._each().to(deviations.dtype)[:, None]
        z = deviations * torch.exp(-logarithms)
        return -0.5 * z * z - (logarithms + 0.5 * math.log(2.0 * math.pi))

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Set the variances to the average squares, but no less than the floor."""
        variances = self._pooled(averages, rows).maximum(self._least(floor))
        lost = (self._pooled(rows, rows) <= NO_ROWS) | ~torch.isfinite(variances)
        self.log_scales.copy_(torch.where(lost, self.log_scales, 0.5 * variances.log()))

    def _pooled(self, values: Tensor, rows: Tensor) -> Tensor:
        return values

    def _least(self, floor: Tensor) -> Tensor:
        return floor

    def spread(self, chosen: Tensor, noise: Tensor) -> Tensor:
        """Multiply noise by the standard deviations."""
        scales = torch.exp(self._each()).to(noise)
        return noise * (scales if self.tied else scales[chosen])

    def penalty(self, scatter: Tensor) -> Tensor:
        """Return the log-determinants plus the traces; only the diagonal of a matrix counts."""
        squares = scatter.diagonal(dim1=-2, dim2=-1) if scatter.dim() > 1 else scatter
        logarithms = self._each().double()
        return (2.0 * logarithms + torch.exp(-2.0 * logarithms) * squares).sum(-1)

    def smallest(self, floor: Tensor) -> Tensor:
        """Return the least variance of each block in units of the floor."""
        return (self.variances().detach().double() / floor).amin(-1)


class SphericalCovariance(DiagonalCovariance):
    """One variance for all features.

    Parameters
    ----------
    components, features, tied
        As in `Covariance`.

    Examples
    --------
    >>> SphericalCovariance(components=3, features=2).free_parameters
    3
    """

    def _scales(self) -> int:
        return 1

    def _pooled(self, values: Tensor, rows: Tensor) -> Tensor:
        shares = rows.expand_as(values).clamp_min(NO_ROWS)
        return (values * shares).sum(-1, keepdim=True) / shares.sum(-1, keepdim=True)

    def _least(self, floor: Tensor) -> Tensor:
        return floor.amax()
