"""Covariances of low rank plus independent noise: factor analysis and probabilistic PCA."""

from __future__ import annotations

import copy
import math
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

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
_LONGEST_STEP = 4.0
# In nats: a start that gains no more in a step has shown how high it leads.
_LITTLE = 1e-6
# In the logarithms.
_NEAR = 0.1
_RANDOM_STARTS = 16
# Every start climbs for some steps, the best of them for as many again, and the best of these to the end.
_EXPLORED = 12
_PURSUED = (8, 3)
# Of the variance of a feature, left unexplained at the start.
_LEAST_SHARE = 1e-3
# A slope in the logarithm of a noise variance, below which a floor costs nothing: of Heywood cases.
_FLAT = 1e-3
# By which a floor falls that limits the likelihood: to deviations of 1e-13 of the columns', close to rounding.
_ROUNDING_OF_FLOORS = 1e-14
# Of squares of A = Ψ^(-1/2) W: of larger ones, the digits of 1 + AᵀA are lost.
_MOST_SIGNAL = 1e10
# Of few rows, at the units of several starts at once.
_MOST_NUMBERS = 10_000_000


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
    # No matrix has to be positive definite in spite of rounding.
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
        return self.penalty_of_root(_factor(scatter.double()).mT)

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

    shares_noise = True

    def _noise_count(self) -> int:
        return 1

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Take the leading eigenvectors; the noise is the mean of the other eigenvalues."""
        values, vectors = torch.linalg.eigh(torch.nan_to_num(averages, posinf=0.0, neginf=0.0))
        rest = self.features - self.rank
        # Below this, eigenvalues are rounding errors.
        rounding = self.features * torch.finfo(values.dtype).eps * values[:, -1:]
        least = rounding.maximum(floor.amin())
        noise_variances = values[:, :rest].mean(-1, keepdim=True).maximum(least)
        excess = (values[:, rest:] - noise_variances).clamp_min(0.0).sqrt()
        loadings = _canonical((vectors[:, :, rest:] * excess.unsqueeze(-2)).flip(-1))
        self._set(rows, loadings, noise_variances)

    def maximise(self, averages: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Take the closed form."""
        self.update(averages, averages.new_ones(1, 1), floor)

    @torch.no_grad()
    def maximise_root(self, root: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Take the closed form; directions in which no row leaves the mean have no variance."""
        values, vectors, rest = _leading(root, self.rank)
        # Below this, singular values are rounding errors, and so are the rows' last digits.
        rounding = (self.features * torch.finfo(values.dtype).eps) ** 2 * root.square().sum()
        least, average = rounding.maximum(floor.amin()), rest / (self.features - self.rank)
        self.limited = bool(average < least)
        noise_variances = average.maximum(least)
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
        profile = _Profile.of_scatter(averages, noise_variances.log(), self.rank)
        for _ in range(self.steps):
            profile = _Profile.of_scatter(averages, profile.em_step(floor), self.rank)
        self._set(rows, _canonical(profile.loadings()), profile.logarithms.exp())
        self.started.fill_(True)

    def forget(self) -> None:
        """Start the next M-step afresh."""
        self.started.fill_(False)

    @torch.no_grad()
    def maximise(self, averages: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Maximise the likelihood for one average scatter: the best of several starts.

        The likelihood has local maxima, mostly such as give a factor to a single feature.
        """
        factor = _factor(averages)
        variances = averages.diagonal(dim1=-2, dim2=-1)
        # The diagonal of the inverse: factors cannot explain more of a feature.
        ridge = torch.diag_embed((1e-9 * variances).maximum(1e-2 * floor))
        bounds = 0.5 / torch.linalg.inv(averages + ridge).diagonal(dim1=-2, dim2=-1)
        starts = torch.cat([*_starts(factor[0].mT, self.rank), bounds])
        self._take_best(
            lambda logarithms: _Profile.of_factor(factor, logarithms, self.rank), starts, floor, deadline
        )

    @torch.no_grad()
    def maximise_root(self, root: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Maximise as above; of few rows, with the diagonal of the second derivatives alone.

        Where more than single noise variances end at the floor, it is the floor that limits the likelihood,
        and not the model; it then falls to what rounding leaves of the rows.
        """
        starts = torch.cat([*_starts(root, self.rank), 0.5 * root.square().sum(0, keepdim=True)])

        def in_full(logarithms: Tensor) -> _Profile:
            return _Profile.of_factor(root.mT[None], logarithms, self.rank)

        def by_rows(logarithms: Tensor) -> _RootProfile:
            return _RootProfile(root, logarithms, self.rank)

        self._take_best(by_rows if len(root) < self.features else in_full, starts, floor, deadline)
        if self.limited and not self.cut_short:
            ends = self.log_noise_variances.detach().double().exp()
            starts = torch.cat([ends, *_starts(root, self.rank)])
            self._take_best(in_full, starts, floor * _ROUNDING_OF_FLOORS, deadline)

    def _take_best(
        self,
        profile_at: _ProfileAt,
        starts: Tensor,
        floor: Tensor,
        deadline: float | None,
    ) -> None:
        """Take the highest end of climbs from several noise variances, shape ``(starts, D)``."""
        logarithms, left_out = starts.maximum(floor).log(), False
        if deadline is not None:
            began = time.monotonic()
            profile_at(logarithms[:1])
            now = time.monotonic()
            steps = (deadline - now) / max(now - began, 1e-9)
            logarithms = logarithms[: max(1, int(steps / _EXPLORED))]
            left_out = len(logarithms) < len(starts)
        for pursued in _PURSUED:
            logarithms, values = _climb(profile_at, logarithms, floor, _EXPLORED, deadline, _LITTLE)
            logarithms = logarithms[values.topk(min(pursued, len(logarithms))).indices]
        logarithms, values = _climb(profile_at, logarithms, floor, _MOST_STEPS, deadline)
        best = profile_at(logarithms[values.argmax()][None])
        loadings, noise_variances = best.loadings(), best.logarithms.exp()
        self.limited = bool(((noise_variances <= floor * 1.01) & (best.slopes() < -_FLAT)).any())
        self._set(torch.ones_like(noise_variances[:, :1]), _canonical(loadings), noise_variances)
        self.started.fill_(True)
        late = deadline is not None and time.monotonic() > deadline
        self.cut_short = late or left_out


def _factor(averages: Tensor) -> Tensor:
    """Return a square root F of scatters S = F Fᵀ, shape ``(blocks, D, D)``, even if they are singular."""
    variances = averages.diagonal(dim1=-2, dim2=-1)
    units = torch.where(variances > 0.0, variances, 1.0).sqrt()
    values, vectors = torch.linalg.eigh(averages / units.unsqueeze(-1) / units.unsqueeze(-2))
    found: Tensor = units.unsqueeze(-1) * vectors * values.clamp_min(0.0).sqrt().unsqueeze(-2)
    return found


def _starts(root: Tensor, rank: int) -> list[Tensor]:
    """Return noise variances to climb from, each of shape ``(..., D)``, for a scatter RᵀR: safe first."""
    variances = root.square().sum(0, keepdim=True)
    # What principal components leave, of features in own units and in common ones.
    starts = []
    for units in (torch.where(variances > 0.0, variances, 1.0).sqrt(), torch.ones_like(variances)):
        values, vectors, _ = _leading(root / units, rank)
        left = variances - (vectors.square() * values).sum(-1) * units.square()
        starts.append(left.maximum(_LEAST_SHARE * variances))
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(_RANDOM_STARTS, variances.shape[-1], generator=generator, dtype=variances.dtype)
    # Or nothing is explained.
    return [*starts, variances, variances * shares.clamp_min(_LEAST_SHARE).to(variances.device)]


def _climb(
    profile_at: _ProfileAt,
    logarithms: Tensor,
    floor: Tensor,
    most: int,
    deadline: float | None,
    no_gain: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Climb from each of several noise variances, shape ``(starts, D)``, until all arrive or time is up.

    Takes Newton steps in the logarithms of the noise variances, with Jöreskog's approximation of the second
    derivatives, and an EM step wherever a Newton step would not raise the likelihood. Of starts that meet, one
    goes on. Returns where each has got to, and how high.
    """
    least, reached = floor.log(), logarithms.clone()
    climbing = torch.arange(len(reached), device=reached.device)
    profile = profile_at(logarithms)
    values = profile.value.clone()
    for _ in range(most):
        if deadline is not None and time.monotonic() > deadline:
            break
        step = profile.newton_step(least)
        # Shortened in its direction, not cut feature by feature.
        step = step * (_LONGEST_STEP / step.abs().amax(1, keepdim=True)).clamp_max(1.0)
        trial = profile_at((profile.logarithms + step).maximum(least))
        # Close to the maximum, values differ by less than their rounding errors.
        rounding = _ROUNDING * profile.value.abs().clamp_min(1.0)
        lower = ~(trial.value >= profile.value - rounding)
        if bool(lower.any()):
            trial = profile_at(torch.where(lower[:, None], profile.em_step(floor), trial.logarithms))
        change = (trial.logarithms - profile.logarithms).abs().amax(1)
        gain = (trial.value - profile.value).abs()
        reached[climbing], values[climbing] = trial.logarithms, trial.value
        on = (change >= profile.no_change) & (gain >= (profile.no_gain if no_gain is None else no_gain))
        on &= ~_met(trial)
        if not bool(on.any()):
            break
        climbing, profile = climbing[on], trial.only(on)
    return reached, values


def _met(profile: _Profile | _RootProfile) -> Tensor:
    """Return which starts are where a higher one is, shape ``(starts,)``."""
    logarithms, value = profile.logarithms, profile.value
    near = (logarithms[:, None] - logarithms).abs().amax(-1) < _NEAR
    order = torch.arange(len(value), device=value.device)
    higher = (value > value[:, None]) | ((value == value[:, None]) & (order < order[:, None]))
    return (near & higher).any(1)


class _Profile:
    """The likelihood of noise variances with their best loadings, from the scaled scatter's eigenvalues.

    Parameters
    ----------
    values, vectors
        The eigenvalues, increasing, and eigenvectors, of the scatter of features divided by the noise's
        deviations: shapes ``(blocks, D)`` and ``(blocks, D, D)``.
    logarithms
        The logarithms of the noise variances, shape ``(blocks, D)``.
    rank
        The number of factors.
    """

    # In the logarithms, and in nats.
    no_change, no_gain = 1e-12, 1e-12

    def __init__(self, values: Tensor, vectors: Tensor, logarithms: Tensor, rank: int) -> None:
        self.logarithms = logarithms
        self._roots = torch.exp(0.5 * logarithms)
        rest = values.shape[-1] - rank
        self._values, self._rest = values[:, :rest], vectors[:, :, :rest]
        self._leading, self._vectors = values[:, rest:].clamp_min(1.0), vectors[:, :, rest:]
        # Of each eigenvector's variance, what its loading leaves.
        self._left = torch.cat([self._values, values[:, rest:].clamp_max(1.0)], 1)
        unexplained = (values[:, rest:] / self._leading).sum(-1) + self._values.sum(-1)
        self.value = -0.5 * (self._leading.log().sum(-1) + unexplained + logarithms.sum(-1))

    @classmethod
    def of_scatter(cls, averages: Tensor, logarithms: Tensor, rank: int) -> _Profile:
        """Return the profile of average scatters of shape ``(blocks, D, D)``."""
        roots = torch.exp(0.5 * logarithms)
        scaled = averages / roots.unsqueeze(-1) / roots.unsqueeze(-2)
        values, vectors = torch.linalg.eigh(scaled)
        return cls(values, vectors, logarithms, rank)

    @classmethod
    def of_factor(cls, factor: Tensor, logarithms: Tensor, rank: int) -> _Profile:
        """Return it from square roots of the scatters: exact for far smaller noise, and twice as slow."""
        scaled = factor * torch.exp(-0.5 * logarithms).unsqueeze(-1)
        vectors, values, _ = torch.linalg.svd(scaled)
        squares = functional.pad(values.square(), (0, vectors.shape[-1] - values.shape[-1]))
        return cls(squares.flip(-1), vectors.flip(-1), logarithms, rank)

    def only(self, chosen: Tensor) -> Self:
        """Return the profile of some of the blocks."""
        return _only(self, chosen)

    def loadings(self) -> Tensor:
        """Return the best loadings, shape ``(blocks, D, q)``."""
        scales = (self._leading - 1.0).sqrt().unsqueeze(-2)
        found: Tensor = self._roots.unsqueeze(-1) * (self._vectors * scales).flip(-1)
        return found

    def slopes(self) -> Tensor:
        """Return twice the derivatives of the value with respect to the logarithms, ``(blocks, D)``."""
        vectors = torch.cat([self._rest, self._vectors], -1)
        return (vectors.square() @ (self._left - 1.0).unsqueeze(-1)).squeeze(-1)

    def em_step(self, floor: Tensor) -> Tensor:
        """Return the logarithms after an EM step at the best loadings: of what these leave unexplained.

        As a sum over eigenvectors nothing cancels, as it does in variances less squares of loadings.
        """
        vectors = torch.cat([self._rest, self._vectors], -1)
        left = (vectors.square() @ self._left.unsqueeze(-1)).squeeze(-1)
        return (left * self.logarithms.exp()).maximum(floor).log()

    def newton_step(self, least: Tensor) -> Tensor:
        """Return a Newton step in the logarithms, which are at `least` or above, shape ``(blocks, D)``.

        Jöreskog 1967, Some contributions to maximum likelihood factor analysis, section 5.
        """
        squares = self._rest.square()
        gradient = (squares * (self._values - 1.0).unsqueeze(-2)).sum(-1)
        curvature = (self._rest @ self._rest.mT).square()
        # What is held at the floor does not move, nor does it move others.
        free = ((self.logarithms > least) | (gradient > 0.0)).to(gradient.dtype)
        curvature = curvature * free.unsqueeze(-1) * free.unsqueeze(-2)
        step: Tensor = torch.linalg.solve(curvature + torch.diag_embed(1.0 - free + 1e-8), gradient * free)
        return step


class _RootProfile:
    """The same for the scatter RᵀR of few rows, from the singular values of R in the scaled features.

    Parameters
    ----------
    root
        R, shape ``(n, D)``.
    logarithms
        The logarithms of the noise variances, shape ``(blocks, D)``.
    rank
        The number of factors.
    """

    # Without the second derivatives between features the last digits take many steps, and noise at its floor,
    # on which the likelihood hardly depends, goes up and down.
    no_change, no_gain = 1e-7, 1e-8

    def __init__(self, root: Tensor, logarithms: Tensor, rank: int) -> None:
        self.logarithms = logarithms
        self._roots = torch.exp(0.5 * logarithms)
        groups = torch.split(self._roots, max(1, _MOST_NUMBERS // root.numel()))
        parts = [_leading(root / roots.unsqueeze(-2), rank) for roots in groups]
        values, self._vectors, rest = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        self._leading = values.clamp_min(1.0)
        self._variances = root.square().sum(0) / logarithms.exp()
        unexplained = (values / self._leading).sum(-1) + rest
        self.value = -0.5 * (self._leading.log().sum(-1) + unexplained + logarithms.sum(-1))

    def only(self, chosen: Tensor) -> Self:
        """Return the profile of some of the blocks."""
        return _only(self, chosen)

    def loadings(self) -> Tensor:
        """Return the best loadings, shape ``(blocks, D, q)``."""
        scales = (self._leading - 1.0).sqrt().unsqueeze(-2)
        return self._roots.unsqueeze(-1) * self._vectors * scales

    def slopes(self) -> Tensor:
        """Return twice the derivatives of the value with respect to the logarithms, ``(blocks, D)``."""
        return self._left() - 1.0

    def em_step(self, floor: Tensor) -> Tensor:
        """Return the logarithms after an EM step at the best loadings: of what these leave unexplained."""
        return (self._left() * self.logarithms.exp()).maximum(floor).log()

    def newton_step(self, least: Tensor) -> Tensor:
        """Return a step in the logarithms, shape ``(blocks, D)``, each feature by itself."""
        curvature = (1.0 - self._vectors.square().sum(-1)).clamp_min(1e-4).square()
        # Each feature's step is cut by itself: they know nothing of each other.
        return (self.slopes() / curvature).clamp(-0.5 * _LONGEST_STEP, 0.5 * _LONGEST_STEP)

    def _left(self) -> Tensor:
        explained = (self._vectors.square() * (self._leading - 1.0).unsqueeze(-2)).sum(-1)
        return self._variances - explained


def _only(profile: Any, chosen: Tensor) -> Any:
    """Return a copy with some of the rows of every tensor."""
    some = copy.copy(profile)
    for name, value in vars(profile).items():
        if isinstance(value, Tensor):
            setattr(some, name, value[chosen])
    return some


_ProfileAt = Callable[[Tensor], _Profile | _RootProfile]


def _leading(root: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest eigenvalues of RᵀR, ``(..., q)``, vectors ``(..., D, q)``, and the sum of the rest.

    They are the squares of singular values, so that small ones are exact; beyond the number of rows, 0.
    """
    triangle = torch.linalg.qr(root.mT, mode="r").R
    _, values, right = torch.linalg.svd(triangle)
    count = min(rank, values.shape[-1])
    vectors = root.mT @ right[..., :count, :].mT
    vectors = vectors / vectors.norm(dim=-2, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
    squares, missing = values.square(), rank - count
    leading = functional.pad(squares[..., :count], (0, missing)), functional.pad(vectors, (0, missing))
    return *leading, squares[..., count:].sum(-1)


def _canonical(loadings: Tensor) -> Tensor:
    """Return loadings with signs such that the largest entry of every column is positive."""
    if loadings.shape[-1] == 0:
        return loadings
    largest = loadings.gather(-2, loadings.abs().argmax(-2, keepdim=True))
    return loadings * torch.where(largest < 0.0, -1.0, 1.0)
