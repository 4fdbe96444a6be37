"""Covariances without restriction."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from logpx.latent.covariances.base import NO_ROWS, Covariance

__all__ = ["FullCovariance"]


class FullCovariance(Covariance):
    """Any positive definite matrices, stored as Cholesky factors with the logarithm of their diagonals.

    Parameters
    ----------
    components, features, tied
        As in `Covariance`.

    Examples
    --------
    >>> covariance = FullCovariance(components=3, features=2)
    >>> covariance.free_parameters, covariance.matrices().shape
    (9, torch.Size([3, 2, 2]))
    """

    def __init__(self, components: int, features: int, tied: bool = False) -> None:
        super().__init__(components, features, tied)
        self.log_diagonals = nn.Parameter(torch.zeros(self.blocks, features))
        self.lowers = nn.Parameter(torch.zeros(self.blocks, features, features))

    @property
    def free_parameters(self) -> int:
        """D (D + 1) / 2 per matrix."""
        return self.blocks * self.features * (self.features + 1) // 2

    def factors(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return lower triangular factors, ``(blocks, D, D)``; None keeps the dtype of the parameters."""
        return self.lowers.to(dtype).tril(-1) + torch.diag_embed(self.log_diagonals.to(dtype).exp())

    def roots(self) -> Tensor:
        """Return the triangular factors in float64."""
        return self.factors(torch.float64)

    def matrices(self) -> Tensor:
        """Return the covariance matrices in float64, shape ``(blocks, D, D)``."""
        factors = self.factors(torch.float64)
        return factors @ factors.mT

    def precisions(self) -> tuple[Tensor, Tensor]:
        """Return the inverses and the log-determinants, in float64."""
        inverses = self._inverse_factors(torch.float64)
        return inverses.mT @ inverses, 2.0 * self.log_diagonals.double().sum(-1)

    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of deviations, shape ``(K, n)``."""
        # Rows times the inverse factor: one triangular inverse per matrix instead of one solve per row.
        z = deviations @ self._inverse_factors(deviations.dtype).mT
        constant = self.log_diagonals.to(z.dtype).sum(-1) + 0.5 * self.features * math.log(2.0 * math.pi)
        return -0.5 * (z * z).sum(-1) - constant[:, None]

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Take the average scatter, with variances below the floor raised to it: the constrained optimum."""
        # Among matrices no smaller than the identity, the likelihood is highest when the eigenvalues of the
        # scatter below 1 are set to 1: EM stays monotone.
        scale = floor.sqrt()
        scaled = averages / scale / scale[:, None]
        identity = torch.eye(self.features, dtype=scaled.dtype, device=scaled.device)
        _, low = torch.linalg.cholesky_ex(scaled - identity)
        if bool(low.any()):
            values, vectors = torch.linalg.eigh(torch.nan_to_num(scaled, posinf=0.0, neginf=0.0))
            raised = (vectors * values.clamp_min(1.0).unsqueeze(-2)) @ vectors.mT
            scaled = torch.where((low != 0)[:, None, None], raised, scaled)
        factors, failed = torch.linalg.cholesky_ex(scaled)
        keep = (rows <= NO_ROWS).any(-1) | (failed != 0) | ~torch.isfinite(factors).flatten(1).all(1)
        factors = factors * scale[:, None]
        log_diagonals = factors.diagonal(dim1=-2, dim2=-1).log()
        self.log_diagonals.copy_(torch.where(keep[:, None], self.log_diagonals, log_diagonals))
        self.lowers.copy_(torch.where(keep[:, None, None], self.lowers, factors.tril(-1)))

    def spread(self, chosen: Tensor, noise: Tensor) -> Tensor:
        """Multiply noise by the factors."""
        factors = self.factors().to(noise)
        if self.tied:
            return noise @ factors[0].mT
        # One product for the rows of each component: a factor for every row would take n × D × D numbers.
        order = chosen.argsort(stable=True)
        groups = torch.split(noise[order], torch.bincount(chosen, minlength=self.blocks).tolist())
        spread = torch.cat([rows @ factor.mT for rows, factor in zip(groups, factors, strict=True)])
        return torch.empty_like(spread).index_copy(0, order, spread)

    def penalty(self, scatter: Tensor) -> Tensor:
        """Return the log-determinants plus the traces."""
        root = torch.linalg.cholesky(scatter.double()).expand(self.blocks, -1, -1)
        trace = torch.linalg.solve_triangular(self.factors().double(), root, upper=False).square().sum((1, 2))
        total: Tensor = 2.0 * self.log_diagonals.double().sum(-1) + trace
        return total

    def _inverse_factors(self, dtype: torch.dtype) -> Tensor:
        factors = self.factors().to(dtype)
        identity = torch.eye(self.features, dtype=dtype, device=factors.device).expand_as(factors)
        inverses: Tensor = torch.linalg.solve_triangular(factors, identity, upper=False)
        return inverses
