"""Covariances of low rank plus independent noise."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from logpx.arguments import is_whole
from logpx.errors import UsageError
from logpx.latent.covariances.base import ALMOST, NO_ROWS, Covariance
from logpx.latent.covariances.roots import factor_of

__all__ = ["LowRankCovariance", "canonical"]

# Of squares of A = Ψ^(-1/2) W: of larger ones, the digits of 1 + AᵀA are lost.
_MOST_SIGNAL = 1e10


class LowRankCovariance(Covariance):
    r""":math:`\Sigma = W W^\top + \Psi` with W of shape D × q and a diagonal :math:`\Psi`.

    Densities use the Woodbury identity and the determinant lemma: no D × D matrix is inverted.

    Parameters
    ----------
    components, features, tied
        As in `Covariance`.
    rank
        The number q of columns of W, at least 0 and below D.

    Attributes
    ----------
    cut_short : bool
        Whether the last `maximise` ended for lack of time.
    limited : bool
        Whether the last `maximise` ended at the least noise though the likelihood rises beyond.

    Raises
    ------
    UsageError
        If the rank is not below the number of features.
    """

    cut_short = False
    limited = False
    # No matrix has to be positive definite in spite of rounding, so that a floor may be lower.
    least_floor = 1e-28

    def __init__(self, components: int, features: int, rank: int, tied: bool = False) -> None:
        super().__init__(components, features, tied)
        if not is_whole(rank) or not 0 <= rank < features:
            raise UsageError(
                f"{rank!r} latent dimensions for {features} features",
                fix=f"give a whole number from 0 to {features - 1}",
            )
        self.rank = int(rank)
        self.loadings = nn.Parameter(torch.zeros(self.blocks, features, rank))
        self.log_noise_variances = nn.Parameter(torch.zeros(self.blocks, self._noise_count()))

    @abstractmethod
    def _noise_count(self) -> int:
        """Return how many noise variances a block has."""

    @property
    def free_parameters(self) -> int:
        """Loadings without rotations, D q - q (q - 1) / 2, and noise variances; at most D (D + 1) / 2."""
        loadings = self.features * self.rank - self.rank * (self.rank - 1) // 2
        return self.blocks * min(loadings + self._noise_count(), self.features * (self.features + 1) // 2)

    def feasible(self, floor: Tensor) -> bool:
        """Return whether no noise variance is below the floor."""
        least = floor if self._noise_count() > 1 else floor.amin()
        return bool((self.log_noise_variances.detach().double().exp() >= least * ALMOST).all())

    def noise_variances(self) -> Tensor:
        """Return the noise variances, shape ``(blocks, D)``."""
        return self.log_noise_variances.exp().expand(self.blocks, self.features)

    def roots(self) -> Tensor:
        """Return the loadings beside the deviations of the noise, ``(blocks, D, q + D)``, in float64."""
        scales = torch.exp(0.5 * self.log_noise_variances.double()).expand(self.blocks, self.features)
        return torch.cat([self.loadings.double(), torch.diag_embed(scales)], -1)

    def matrices(self) -> Tensor:
        """Return the covariance matrices in float64, shape ``(blocks, D, D)``."""
        loadings, noise_variances = self.loadings.double(), self.log_noise_variances.double().exp()
        return loadings @ loadings.mT + torch.diag_embed(noise_variances.expand(self.blocks, self.features))

    def _scaled(self) -> Tensor:
        """Return A = Ψ^(-1/2) W in float64, because of its size where there is little noise."""
        logarithms = self.log_noise_variances.double()
        return self.loadings.double() * torch.exp(-0.5 * logarithms).unsqueeze(-1)

    def _woodbury(self, mode: str = "reduced") -> tuple[Tensor, Tensor, Tensor]:
        """Return Q and R of A = Q R with RᵀR = I + AᵀA, and log|Σ|, in float64.

        They are part of the QR decomposition of A above I, in which nothing is squared.
        """
        scaled = self._scaled()
        identity = torch.eye(self.rank, dtype=scaled.dtype, device=scaled.device)
        stacked = torch.cat([scaled, identity.expand(self.blocks, -1, -1)], 1)
        q, r = torch.linalg.qr(stacked, mode=mode)
        logarithms = self.log_noise_variances.double().expand(self.blocks, self.features)
        log_determinant = 2.0 * r.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1) + logarithms.sum(-1)
        return q[:, : self.features], r, log_determinant

    def precisions(self) -> tuple[Tensor, Tensor]:
        """Return the inverses and the log-determinants, in float64."""
        differentiable = torch.is_grad_enabled()
        q, _, log_determinant = self._woodbury("reduced" if differentiable else "complete")
        inverse_roots = torch.exp(-0.5 * self.log_noise_variances.double()).expand(self.blocks, self.features)
        if differentiable:
            inner = torch.eye(self.features, dtype=q.dtype, device=q.device) - q @ q.mT
        else:
            # The same without a difference, from the other columns of the orthogonal matrix.
            inner = q[:, :, self.rank :] @ q[:, :, self.rank :].mT
        return inner * inverse_roots.unsqueeze(-1) * inverse_roots.unsqueeze(-2), log_determinant

    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of deviations, shape ``(K, n)``."""
        distance, log_determinant = self._distance(deviations)
        constants = log_determinant + self.features * math.log(2.0 * math.pi)
        return (-0.5 * (distance + constants[:, None])).to(deviations.dtype)

    def prefers_latent(self, missing: int) -> bool:
        """Return whether rows that miss so many cells are cheaper by way of the latent vector."""
        if self.rank**2 * (self.features + self.rank) > max(missing**3, self.features**2):
            return False
        # Squares are summed then, which are exact enough if the noise is not all too small.
        return bool(self._scaled().detach().square().sum(1).amax() < _MOST_SIGNAL) if self.rank else True

    def log_normal_of_present(self, deviations: Tensor, present: Tensor) -> Tensor:
        r"""Return the log-density of the present cells, by way of the latent vector, in O(D q²) a row.

        For the present cells o of a row, :math:`M_o = I + A_o^\top A_o` with :math:`A = \Psi^{-1/2} W`.

        Parameters
        ----------
        deviations
            Shape ``(K, n, D)``, 0 where cells are missing.
        present
            Shape ``(n, D)``, boolean.

        Returns
        -------
        Tensor
            Shape ``(K, n)``, differentiable.
        """
        scaled = self._scaled().to(deviations.dtype)
        there = present.to(deviations.dtype)
        log_variances = self.log_noise_variances.to(deviations.dtype).expand(self.blocks, self.features)
        e = deviations * torch.exp(-0.5 * log_variances).unsqueeze(-2)
        products = (scaled.unsqueeze(-1) * scaled.unsqueeze(-2)).flatten(2)
        identity = torch.eye(self.rank, dtype=e.dtype, device=e.device)
        inner = (there @ products).view(self.blocks, len(present), self.rank, self.rank) + identity
        factors = torch.linalg.cholesky(inner).expand(len(e), -1, -1, -1)
        u = torch.cholesky_solve((e @ scaled).unsqueeze(-1), factors).squeeze(-1)
        rest = (e - u @ scaled.mT) * there
        distance = (rest * rest).sum(-1) + (u * u).sum(-1)
        log_determinants = 2.0 * factors.diagonal(dim1=-2, dim2=-1).log().sum(-1) + log_variances @ there.mT
        constants: Tensor = log_determinants + there.sum(1) * math.log(2.0 * math.pi)
        return -0.5 * (distance + constants)

    def _distance(self, deviations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared distances of deviations, and the log-determinants."""
        q, r, log_determinant = self._woodbury()
        e = deviations.double() * torch.exp(-0.5 * self.log_noise_variances.double()).unsqueeze(-2)
        # With u the latent mean, the squared distance is |e - A u|² + |u|²: sums of squares, nothing cancels.
        along = e @ q
        u = torch.linalg.solve_triangular(r, along.mT, upper=True).mT
        rest = e - along @ q.mT
        return (rest * rest).sum(-1) + (u * u).sum(-1), log_determinant

    @abstractmethod
    def maximise(self, averages: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Maximise the likelihood for one average scatter.

        Parameters
        ----------
        averages
            Shape ``(1, D, D)``, float64.
        floor
            As in `update`.
        deadline
            A value of ``time.monotonic()`` at which a climb ends; `cut_short` then says so.
        """

    @abstractmethod
    def maximise_root(self, root: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Maximise the likelihood for the average scatter RᵀR of no more rows than columns, in O(n² D).

        Parameters
        ----------
        root
            R, shape ``(n, D)``, float64.
        floor, deadline
            As in `maximise`.
        """

    def spread(self, chosen: Tensor, noise: Tensor) -> Tensor:
        r"""Multiply noise by roots of the covariances.

        With :math:`A = \Psi^{-1/2} W` and its singular values s and left singular vectors V a root is
        :math:`\Psi^{1/2} (I + V (\sqrt{1 + s^2} - 1) V^\top)`: no D × D matrix is built.
        """
        vectors, values, _ = torch.linalg.svd(self._scaled(), full_matrices=False)
        # (sqrt(1 + s²) - 1) / s² by the conjugate, which does not cancel where s is small.
        gains = 1.0 / ((1.0 + values.square()).sqrt() + 1.0)
        left = (vectors * values.unsqueeze(-2)).to(noise).expand(self.components, -1, -1)
        scales = (0.5 * self.log_noise_variances.double()).exp().to(noise)
        scales = scales.expand(self.blocks, self.features).expand(self.components, -1)
        gains = gains.to(noise).expand(self.components, -1)
        result = torch.empty_like(noise)
        for component in torch.unique(chosen).tolist():
            rows = chosen == component
            own, vector = noise[rows], left[component]
            result[rows] = (own + (own @ vector * gains[component]) @ vector.mT) * scales[component]
        return result

    def penalty(self, scatter: Tensor) -> Tensor:
        """Return the log-determinants plus the traces."""
        return self.penalty_of_root(factor_of(scatter.double()).mT)

    def penalty_of_root(self, root: Tensor) -> Tensor:
        """Return the same for scatters RᵀR, given R of shape ``(blocks, n, D)``."""
        # The trace of the precision times RᵀR is that of squared distances, where nothing cancels.
        distance, log_determinant = self._distance(root)
        return log_determinant + distance.sum(-1)

    def _set(self, rows: Tensor, loadings: Tensor, noise_variances: Tensor) -> None:
        empty = (rows <= NO_ROWS).any(-1)
        lost = empty | ~torch.isfinite(loadings).flatten(1).all(1) | ~torch.isfinite(noise_variances).all(1)
        self.loadings.copy_(torch.where(lost[:, None, None], self.loadings, loadings))
        self.log_noise_variances.copy_(
            torch.where(lost[:, None], self.log_noise_variances, noise_variances.log())
        )


def canonical(loadings: Tensor) -> Tensor:
    """Return loadings with signs such that the largest entry of every column is positive."""
    if loadings.shape[-1] == 0:
        return loadings
    largest = loadings.gather(-2, loadings.abs().argmax(-2, keepdim=True))
    return loadings * torch.where(largest < 0.0, -1.0, 1.0)
