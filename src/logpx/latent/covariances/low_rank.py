"""Covariances that are of low rank but for independent noise: factor analysis and probabilistic PCA."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from logpx.errors import UsageError
from logpx.latent.covariances.base import ALMOST, NO_ROWS, Covariance

__all__ = ["FactorCovariance", "LowRankCovariance", "PrincipalCovariance"]

_STEPS = 5
_NO_GAIN = 1e-10
_MOST_STEPS = 500


class LowRankCovariance(Covariance):
    r""":math:`\Sigma = W W^\top + \Psi` with W of shape D × q and a diagonal :math:`\Psi`.

    Densities use the Woodbury identity and the determinant lemma: no D × D matrix is inverted.

    Parameters
    ----------
    components, features, tied
        As in `Covariance`.
    rank
        The number q of columns of W, from 0 and below D.

    Raises
    ------
    UsageError
        If the rank is not below the number of features.
    """

    def __init__(self, components: int, features: int, rank: int, tied: bool = False) -> None:
        super().__init__(components, features, tied)
        if not isinstance(rank, int) or isinstance(rank, bool) or not 0 <= rank < features:
            raise UsageError(
                f"{rank!r} latent dimensions of {features} features",
                fix=f"give a whole number from 0 to {features - 1}",
            )
        self.rank = rank
        self.loadings = nn.Parameter(torch.zeros(self.blocks, features, rank))
        self.log_noises = nn.Parameter(torch.zeros(self.blocks, self._noises()))

    @abstractmethod
    def _noises(self) -> int:
        """Return how many noise variances a block has."""

    @property
    def free_parameters(self) -> int:
        """Loadings without rotations, D q - q (q - 1) / 2, and noises; at most D (D + 1) / 2."""
        loadings = self.features * self.rank - self.rank * (self.rank - 1) // 2
        return self.blocks * min(loadings + self._noises(), self.features * (self.features + 1) // 2)

    def feasible(self, floor: Tensor) -> bool:
        """Return whether no noise variance is below the floor."""
        least = floor if self._noises() > 1 else floor.amin()
        return bool((self.log_noises.detach().double().exp() >= least * ALMOST).all())

    def noises(self) -> Tensor:
        """Return the noise variances, shape ``(blocks, D)``."""
        return self.log_noises.exp().expand(self.blocks, self.features)

    def matrices(self) -> Tensor:
        """Return the covariance matrices, shape ``(blocks, D, D)``."""
        return self.loadings @ self.loadings.mT + torch.diag_embed(self.noises())

    def _woodbury(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return A = Ψ^(-1/2) W, the factor L of I + AᵀA, and log|Σ|."""
        logarithms = self.log_noises.to(dtype).expand(self.blocks, self.features)
        scaled = self.loadings.to(dtype) * torch.exp(-0.5 * logarithms).unsqueeze(-1)
        inner = scaled.mT @ scaled + torch.eye(self.rank, dtype=dtype, device=scaled.device)
        factor = torch.linalg.cholesky(inner)
        log_determinant = 2.0 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + logarithms.sum(-1)
        return scaled, factor, log_determinant

    def precisions(self) -> tuple[Tensor, Tensor]:
        """Return the inverses and the log-determinants, in float64."""
        scaled, factor, log_determinant = self._woodbury(torch.float64)
        inverse_roots = torch.exp(-0.5 * self.log_noises.double()).expand(self.blocks, self.features)
        half = torch.linalg.solve_triangular(factor, scaled.mT, upper=False)
        identity = torch.eye(self.features, dtype=half.dtype, device=half.device)
        inner = identity - half.mT @ half
        return inner * inverse_roots.unsqueeze(-1) * inverse_roots.unsqueeze(-2), log_determinant

    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of deviations, shape ``(K, n)``."""
        scaled, factor, log_determinant = self._woodbury(deviations.dtype)
        noises = self.log_noises.to(deviations.dtype).expand(self.blocks, self.features)
        e = deviations * torch.exp(-0.5 * noises).unsqueeze(-2)
        # With u the latent mean, the squared distance is |e - A u|² + |u|²: sums of squares, nothing cancels.
        u = torch.cholesky_solve((e @ scaled).mT, factor.expand(len(e), -1, -1)).mT
        rest = e - u @ scaled.mT
        distance = (rest * rest).sum(-1) + (u * u).sum(-1)
        return -0.5 * (distance + (log_determinant + self.features * math.log(2.0 * math.pi))[:, None])

    def spread(self, chosen: Tensor, noise: Tensor) -> Tensor:
        """Multiply noise by the Cholesky factors of the covariances."""
        factors = torch.linalg.cholesky(self.matrices().double()).to(noise)
        if self.tied:
            factors = factors.expand(self.components, -1, -1)
        return torch.einsum("nij,nj->ni", factors[chosen], noise)

    def penalty(self, scatter: Tensor) -> Tensor:
        """Return the log-determinants plus the traces."""
        precisions, log_determinant = self.precisions()
        return log_determinant + (precisions * scatter.double()).sum((1, 2))

    def _set(self, rows: Tensor, loadings: Tensor, noises: Tensor) -> None:
        empty = (rows <= NO_ROWS).any(-1)
        lost = empty | ~torch.isfinite(loadings).flatten(1).all(1) | ~torch.isfinite(noises).all(1)
        self.loadings.copy_(torch.where(lost[:, None, None], self.loadings, loadings))
        self.log_noises.copy_(torch.where(lost[:, None], self.log_noises, noises.log()))


class PrincipalCovariance(LowRankCovariance):
    r"""Probabilistic PCA: :math:`\Sigma = W W^\top + \sigma^2 I`, with a closed-form M-step.

    Parameters
    ----------
    components, features, rank, tied
        As in `LowRankCovariance`.

    References
    ----------
    Tipping and Bishop 1999, Probabilistic principal component analysis.

    Examples
    --------
    >>> PrincipalCovariance(components=1, features=5, rank=2).free_parameters
    10
    """

    def _noises(self) -> int:
        return 1

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Take the leading eigenvectors; the noise is the mean of the other eigenvalues."""
        values, vectors = torch.linalg.eigh(torch.nan_to_num(averages, posinf=0.0, neginf=0.0))
        rest = self.features - self.rank
        noises = values[:, :rest].mean(-1, keepdim=True).maximum(floor.amin())
        excess = (values[:, rest:] - noises).clamp_min(0.0).sqrt()
        loadings = _canonical((vectors[:, :, rest:] * excess.unsqueeze(-2)).flip(-1))
        self._set(rows, loadings, noises)


class FactorCovariance(LowRankCovariance):
    r"""Factor analysis: :math:`\Sigma = W W^\top + \mathrm{diag}(\psi)`.

    The M-step has no closed form. It alternates the best loadings for given noises, by an eigenvalue
    decomposition, with the noises' EM step; each of the two raises the likelihood.

    Parameters
    ----------
    components, features, rank, tied
        As in `LowRankCovariance`.
    steps
        How many such pairs an M-step makes.

    References
    ----------
    Rubin and Thayer 1982; Barber 2012, Bayesian Reasoning and Machine Learning, section 21.2.

    Examples
    --------
    >>> FactorCovariance(components=1, features=5, rank=2).free_parameters
    14
    """

    def __init__(
        self, components: int, features: int, rank: int, tied: bool = False, steps: int = _STEPS
    ) -> None:
        super().__init__(components, features, rank, tied)
        self.steps = steps
        self.register_buffer("started", torch.tensor(False))

    started: Tensor

    def _noises(self) -> int:
        return self.features

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Alternate loadings and noises, from the noises that there are."""
        averages = torch.nan_to_num(averages, posinf=0.0, neginf=0.0)
        variances = averages.diagonal(dim1=-2, dim2=-1)
        noises = self.log_noises.double().exp() if bool(self.started) else 0.5 * variances
        noises = noises.maximum(floor)
        loadings = self._best_loadings(averages, noises)
        for _ in range(self.steps):
            # The EM step of the noises: what the factors leave unexplained, at these loadings.
            noises = (variances - loadings.square().sum(-1)).maximum(floor)
            loadings = self._best_loadings(averages, noises)
        self._set(rows, _canonical(loadings), noises)
        self.started.fill_(True)

    def forget(self) -> None:
        """Begin the next M-step anew."""
        self.started.fill_(False)

    @torch.no_grad()
    def maximise(self, averages: Tensor, floor: Tensor) -> None:
        """Repeat M-steps for one average scatter of shape ``(1, D, D)`` until the likelihood stands still.

        The pairs of steps are extrapolated, and the likelihood never falls.
        """
        variances = averages.diagonal(dim1=-2, dim2=-1)
        # Noises from the diagonal of the inverse: no factor can explain more of a feature (Jöreskog 1967).
        ridge = torch.diag_embed(1e-9 * variances)
        noises = 0.5 / torch.linalg.inv(averages + ridge).diagonal(dim1=-2, dim2=-1)
        logarithms = noises.clamp_min(floor).log()
        loadings, value = self._profile(averages, logarithms)
        longest = 4.0
        for _ in range(_MOST_STEPS):
            points = [logarithms]
            for _ in range(2):
                noises = (variances - loadings.square().sum(-1)).maximum(floor)
                points.append(noises.log())
                loadings, last = self._profile(averages, points[-1])
            r, v = points[1] - points[0], points[2] - 2.0 * points[1] + points[0]
            length = min(longest, float(r.norm() / v.norm().clamp_min(1e-300)))
            logarithms = points[2]
            if length > 1.0:
                jump = (points[0] + 2.0 * length * r + length * length * v).maximum(floor.log())
                jump_loadings, jumped = self._profile(averages, jump)
                longest = longest * 4.0 if jumped >= last else max(4.0, length / 2.0)
                if jumped >= last:
                    logarithms, loadings, last = jump, jump_loadings, jumped
            gain, value = last - value, last
            if gain < _NO_GAIN * max(1.0, abs(value)):
                break
        self._set(torch.ones_like(variances[:, :1]), _canonical(loadings), logarithms.exp())
        self.started.fill_(True)

    def _profile(self, averages: Tensor, logarithms: Tensor) -> tuple[Tensor, float]:
        """Return the best loadings for noises, and the mean log-likelihood there up to a constant."""
        roots = torch.exp(0.5 * logarithms)
        values, vectors = torch.linalg.eigh(averages / roots.unsqueeze(-1) / roots.unsqueeze(-2))
        rest = self.features - self.rank
        leading = values[:, rest:].clamp_min(1.0)
        loadings = roots.unsqueeze(-1) * (vectors[:, :, rest:] * (leading - 1.0).sqrt().unsqueeze(-2)).flip(
            -1
        )
        unexplained = (values[:, rest:] / leading).sum() + values[:, :rest].sum()
        return loadings, -0.5 * float(leading.log().sum() + unexplained + logarithms.sum())

    def _best_loadings(self, averages: Tensor, noises: Tensor) -> Tensor:
        return self._profile(averages, noises.log())[0]


def _canonical(loadings: Tensor) -> Tensor:
    """Return loadings with the sign of every column such that its largest entry is positive."""
    if loadings.shape[-1] == 0:
        return loadings
    largest = loadings.gather(-2, loadings.abs().argmax(-2, keepdim=True))
    return loadings * torch.where(largest < 0.0, -1.0, 1.0)
