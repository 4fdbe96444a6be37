"""Covariances of low rank plus independent noise: factor analysis and probabilistic PCA."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import is_whole
from logpx.errors import UsageError
from logpx.latent.covariances.base import ALMOST, NO_ROWS, Covariance

__all__ = ["FactorCovariance", "LowRankCovariance", "PrincipalCovariance"]

_STEPS = 5
_ROUNDING = 1e-13
_MOST_STEPS = 200


class LowRankCovariance(Covariance):
    r""":math:`\Sigma = W W^\top + \Psi` with W of shape D × q and a diagonal :math:`\Psi`.

    Densities use the Woodbury identity and the determinant lemma: no D × D matrix is inverted.

    Parameters
    ----------
    components, features, tied
        As in `Covariance`.
    rank
        The number q of columns of W, at least 0 and below D.

    Raises
    ------
    UsageError
        If the rank is not below the number of features.
    """

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

    def matrices(self) -> Tensor:
        """Return the covariance matrices in float64, shape ``(blocks, D, D)``."""
        loadings, noise_variances = self.loadings.double(), self.log_noise_variances.double().exp()
        return loadings @ loadings.mT + torch.diag_embed(noise_variances.expand(self.blocks, self.features))

    def _woodbury(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return A = Ψ^(-1/2) W, the factor L of I + AᵀA, and log|Σ|."""
        logarithms = self.log_noise_variances.to(dtype).expand(self.blocks, self.features)
        scaled = self.loadings.to(dtype) * torch.exp(-0.5 * logarithms).unsqueeze(-1)
        inner = scaled.mT @ scaled + torch.eye(self.rank, dtype=dtype, device=scaled.device)
        factor = torch.linalg.cholesky(inner)
        log_determinant = 2.0 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + logarithms.sum(-1)
        return scaled, factor, log_determinant

    def precisions(self) -> tuple[Tensor, Tensor]:
        """Return the inverses and the log-determinants, in float64."""
        scaled, factor, log_determinant = self._woodbury(torch.float64)
        inverse_roots = torch.exp(-0.5 * self.log_noise_variances.double()).expand(self.blocks, self.features)
        half = torch.linalg.solve_triangular(factor, scaled.mT, upper=False)
        identity = torch.eye(self.features, dtype=half.dtype, device=half.device)
        inner = identity - half.mT @ half
        return inner * inverse_roots.unsqueeze(-1) * inverse_roots.unsqueeze(-2), log_determinant

    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of deviations, shape ``(K, n)``."""
        scaled, factor, log_determinant = self._woodbury(deviations.dtype)
        log_variances = self.log_noise_variances.to(deviations.dtype).expand(self.blocks, self.features)
        e = deviations * torch.exp(-0.5 * log_variances).unsqueeze(-2)
        # With u the latent mean, the squared distance is |e - A u|² + |u|²: sums of squares, nothing cancels.
        u = torch.cholesky_solve((e @ scaled).mT, factor.expand(len(e), -1, -1)).mT
        rest = e - u @ scaled.mT
        distance = (rest * rest).sum(-1) + (u * u).sum(-1)
        return -0.5 * (distance + (log_determinant + self.features * math.log(2.0 * math.pi))[:, None])

    @abstractmethod
    def maximise(self, averages: Tensor, floor: Tensor) -> None:
        """Maximise the likelihood for one average scatter.

        Parameters
        ----------
        averages
            Shape ``(1, D, D)``, float64.
        floor
            As in `update`.
        """

    @abstractmethod
    def maximise_root(self, root: Tensor, floor: Tensor) -> None:
        """Maximise the likelihood for the average scatter RᵀR of no more rows than columns, in O(n² D).

        Parameters
        ----------
        root
            R, shape ``(n, D)``, float64.
        floor
            As in `update`.
        """

    def spread(self, chosen: Tensor, noise: Tensor) -> Tensor:
        r"""Multiply noise by roots of the covariances.

        With :math:`A = \Psi^{-1/2} W` and its singular values s and left singular vectors V a root is
        :math:`\Psi^{1/2} (I + V (\sqrt{1 + s^2} - 1) V^\top)`: no D × D matrix is built.
        """
        scaled, _, _ = self._woodbury(torch.float64)
        squares, vectors = torch.linalg.eigh(scaled.mT @ scaled)
        squares = squares.clamp_min(0.0)
        # (sqrt(1 + s²) - 1) / s² by the conjugate, which does not cancel where s is small.
        gains = 1.0 / ((1.0 + squares).sqrt() + 1.0)
        left = (scaled @ vectors).to(noise).expand(self.components, -1, -1)
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
        precisions, log_determinant = self.precisions()
        return log_determinant + (precisions * scatter.double()).sum((1, 2))

    def _set(self, rows: Tensor, loadings: Tensor, noise_variances: Tensor) -> None:
        empty = (rows <= NO_ROWS).any(-1)
        lost = empty | ~torch.isfinite(loadings).flatten(1).all(1) | ~torch.isfinite(noise_variances).all(1)
        self.loadings.copy_(torch.where(lost[:, None, None], self.loadings, loadings))
        self.log_noise_variances.copy_(
            torch.where(lost[:, None], self.log_noise_variances, noise_variances.log())
        )


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

    def _noise_count(self) -> int:
        return 1

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Take the leading eigenvectors; the noise is the mean of the other eigenvalues."""
        values, vectors = torch.linalg.eigh(torch.nan_to_num(averages, posinf=0.0, neginf=0.0))
        rest = self.features - self.rank
        noise_variances = values[:, :rest].mean(-1, keepdim=True).maximum(floor.amin())
        excess = (values[:, rest:] - noise_variances).clamp_min(0.0).sqrt()
        loadings = _canonical((vectors[:, :, rest:] * excess.unsqueeze(-2)).flip(-1))
        self._set(rows, loadings, noise_variances)

    def maximise(self, averages: Tensor, floor: Tensor) -> None:
        """Take the closed form."""
        self.update(averages, averages.new_ones(1, 1), floor)

    @torch.no_grad()
    def maximise_root(self, root: Tensor, floor: Tensor) -> None:
        """Take the closed form; the directions that no row leaves have no variance."""
        values, vectors = _leading(root, self.rank)
        rest = root.square().sum() - values.sum()
        noise_variances = (rest / (self.features - self.rank)).maximum(floor.amin())
        excess = (values - noise_variances).clamp_min(0.0).sqrt()
        self._set(root.new_ones(1, 1), _canonical(vectors * excess)[None], noise_variances.view(1, 1))


class FactorCovariance(LowRankCovariance):
    r"""Factor analysis: :math:`\Sigma = W W^\top + \mathrm{diag}(\psi)`.

    The M-step has no closed form. It alternates the best loadings for given noise variances, found by an
    eigenvalue decomposition, with an EM step for the noise variances; both raise the likelihood.

    Parameters
    ----------
    components, features, rank, tied
        As in `LowRankCovariance`.
    steps
        The number of such pairs in an M-step.

    References
    ----------
    Rubin and Thayer 1982; Barber 2012, Bayesian Reasoning and Machine Learning, section 21.2.

    Examples
    --------
    >>> FactorCovariance(components=1, features=5, rank=2).free_parameters
    14
    """

    def __init__(
        self, components: int, features: int, rank: int, tied: bool = False, *, steps: int = _STEPS
    ) -> None:
        super().__init__(components, features, rank, tied)
        self.steps = steps
        self.register_buffer("started", torch.tensor(False))

    started: Tensor

    def _noise_count(self) -> int:
        return self.features

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Alternate loadings and noise variances, starting from the current noise variances."""
        averages = torch.nan_to_num(averages, posinf=0.0, neginf=0.0)
        variances = averages.diagonal(dim1=-2, dim2=-1)
        noise_variances = self.log_noise_variances.double().exp() if bool(self.started) else 0.5 * variances
        noise_variances = noise_variances.maximum(floor)
        loadings = self._best_loadings(averages, noise_variances)
        for _ in range(self.steps):
            # The EM step of the noise variances: what the factors leave unexplained, at these loadings.
            noise_variances = (variances - loadings.square().sum(-1)).maximum(floor)
            loadings = self._best_loadings(averages, noise_variances)
        self._set(rows, _canonical(loadings), noise_variances)
        self.started.fill_(True)

    def forget(self) -> None:
        """Start the next M-step afresh."""
        self.started.fill_(False)

    @torch.no_grad()
    def maximise(self, averages: Tensor, floor: Tensor) -> None:
        """Maximise the likelihood for one average scatter, until it converges.

        Takes Newton steps in the logarithms of the noise variances, with Jöreskog's approximation of the
        second derivatives, and an EM step wherever a Newton step would not raise the likelihood.
        """
        variances = averages.diagonal(dim1=-2, dim2=-1)
        # Start from the diagonal of the inverse: factors cannot explain more of a feature.
        ridge = torch.diag_embed((1e-9 * variances).maximum(1e-2 * floor))
        start = 0.5 / torch.linalg.inv(averages + ridge).diagonal(dim1=-2, dim2=-1)
        self._climb(lambda logarithms: _Profile(averages, logarithms, self.rank), variances, start, floor)

    @torch.no_grad()
    def maximise_root(self, root: Tensor, floor: Tensor) -> None:
        """Maximise as above, with the diagonal of the second derivatives alone."""
        variances = root.square().sum(0, keepdim=True)
        self._climb(
            lambda logarithms: _RootProfile(root, logarithms, self.rank), variances, 0.5 * variances, floor
        )

    def _climb(
        self,
        profile_at: Callable[[Tensor], _Profile | _RootProfile],
        variances: Tensor,
        noise_variances: Tensor,
        floor: Tensor,
    ) -> None:
        logarithms, least = noise_variances.clamp_min(floor).log(), floor.log()
        profile = profile_at(logarithms)
        for _ in range(_MOST_STEPS):
            step = profile.newton_step().clamp(-2.0, 2.0)
            trial = profile_at((logarithms + step).maximum(least))
            # Close to the maximum, values differ by less than their rounding errors.
            if not trial.value >= profile.value - _ROUNDING * max(1.0, abs(profile.value)):
                left = variances - profile.loadings().square().sum(-1)
                trial = profile_at(left.maximum(floor).log())
            change = float((trial.logarithms - logarithms).abs().max())
            logarithms, profile = trial.logarithms, trial
            if change < profile.no_change:
                break
        self._set(torch.ones_like(variances[:, :1]), _canonical(profile.loadings()), logarithms.exp())
        self.started.fill_(True)

    def _best_loadings(self, averages: Tensor, noise_variances: Tensor) -> Tensor:
        return _Profile(averages, noise_variances.log(), self.rank).loadings()


class _Profile:
    """The likelihood of noise variances with their best loadings, from the scaled scatter's eigenvalues.

    Parameters
    ----------
    averages
        Shape ``(blocks, D, D)``.
    logarithms
        The logarithms of the noise variances, shape ``(blocks, D)``.
    rank
        The number of factors.
    """

    no_change = 1e-12

    def __init__(self, averages: Tensor, logarithms: Tensor, rank: int) -> None:
        self.logarithms = logarithms
        self._roots = torch.exp(0.5 * logarithms)
        scaled = averages / self._roots.unsqueeze(-1) / self._roots.unsqueeze(-2)
        values, vectors = torch.linalg.eigh(scaled)
        rest = values.shape[-1] - rank
        self._values, self._rest = values[:, :rest], vectors[:, :, :rest]
        self._leading, self._vectors = values[:, rest:].clamp_min(1.0), vectors[:, :, rest:]
        unexplained = (values[:, rest:] / self._leading).sum() + self._values.sum()
        self.value = -0.5 * float(self._leading.log().sum() + unexplained + logarithms.sum())

    def loadings(self) -> Tensor:
        """Return the best loadings, shape ``(blocks, D, q)``."""
        scales = (self._leading - 1.0).sqrt().unsqueeze(-2)
        found: Tensor = self._roots.unsqueeze(-1) * (self._vectors * scales).flip(-1)
        return found

    def newton_step(self) -> Tensor:
        """Return a Newton step in the logarithms, shape ``(blocks, D)``.

        Jöreskog 1967, Some contributions to maximum likelihood factor analysis, section 5.
        """
        squares = self._rest.square()
        gradient = (squares * (self._values - 1.0).unsqueeze(-2)).sum(-1)
        curvature = (self._rest @ self._rest.mT).square()
        ridge = 1e-8 * torch.eye(curvature.shape[-1], dtype=curvature.dtype, device=curvature.device)
        step: Tensor = torch.linalg.solve(curvature + ridge, gradient)
        return step


class _RootProfile:
    """The same for the scatter RᵀR, from the eigenvalues of R Rᵀ in the scaled features.

    Parameters
    ----------
    root
        R, shape ``(n, D)``.
    logarithms
        The logarithms of the noise variances, shape ``(1, D)``.
    rank
        The number of factors.
    """

    # Without the second derivatives between features the last digits take many steps.
    no_change = 1e-7

    def __init__(self, root: Tensor, logarithms: Tensor, rank: int) -> None:
        self.logarithms = logarithms
        self._roots = torch.exp(0.5 * logarithms)
        scaled = root / self._roots
        values, self._vectors = _leading(scaled, rank)
        self._leading = values.clamp_min(1.0)
        self._variances = scaled.square().sum(0, keepdim=True)
        unexplained = (values / self._leading).sum() + self._variances.sum() - values.sum()
        self.value = -0.5 * float(self._leading.log().sum() + unexplained + logarithms.sum())

    def loadings(self) -> Tensor:
        """Return the best loadings, shape ``(1, D, q)``."""
        scaled = self._vectors * (self._leading - 1.0).sqrt()
        return self._roots.unsqueeze(-1) * scaled[None]

    def newton_step(self) -> Tensor:
        """Return a step in the logarithms, shape ``(1, D)``, each feature by itself."""
        explained = (self._vectors.square() * (self._leading - 1.0)).sum(-1)
        curvature = (1.0 - self._vectors.square().sum(-1)).clamp_min(1e-4).square()
        return (self._variances - explained - 1.0) / curvature


def _leading(root: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalues of RᵀR, ``(q,)``, and their vectors ``(D, q)``; 0 beyond its rank."""
    values, vectors = torch.linalg.eigh(root @ root.mT)
    count = min(rank, len(root))
    values, vectors = values[len(root) - count :].flip(0), vectors[:, len(root) - count :].flip(1)
    right = root.mT @ vectors
    right = right / right.norm(dim=0).clamp_min(torch.finfo(right.dtype).tiny)
    missing = rank - count
    return functional.pad(values.clamp_min(0.0), (0, missing)), functional.pad(right, (0, missing))


def _canonical(loadings: Tensor) -> Tensor:
    """Return loadings with signs such that the largest entry of every column is positive."""
    if loadings.shape[-1] == 0:
        return loadings
    largest = loadings.gather(-2, loadings.abs().argmax(-2, keepdim=True))
    return loadings * torch.where(largest < 0.0, -1.0, 1.0)
