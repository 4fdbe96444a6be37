"""Factor analysis: loadings and noise of a variance for each feature."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from logpx.latent.covariances.factor_climb import Profile, ProfileAt, RootProfile, climb
from logpx.latent.covariances.low_rank import LowRankCovariance, canonical
from logpx.latent.covariances.roots import factor_of, leading

__all__ = ["FactorCovariance"]

_STEPS = 5
_MOST_STEPS = 200
# In nats: a start that gains no more in a step has shown how high it leads.
_LITTLE = 1e-6
_RANDOM_STARTS = 16
# Every start climbs for some steps, the best of them for as many again, and the best of these to the end.
_EXPLORED = 12
_PURSUED = (8, 3)
# Of the variance of a feature, left unexplained at the start.
_LEAST_SHARE = 1e-3
# A slope in the logarithm of a noise variance, below which a floor costs nothing: of Heywood cases.
_FLAT = 1e-3
# By which a floor falls that limits the likelihood: to deviations of 1e-13 of the columns'.
_ROUNDING_OF_FLOORS = 1e-14


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
        profile = Profile.of_scatter(averages, noise_variances.log(), self.rank)
        for _ in range(self.steps):
            profile = Profile.of_scatter(averages, profile.em_step(floor), self.rank)
        self._set(rows, canonical(profile.loadings()), profile.logarithms.exp())
        self.limited = self._is_limited(profile, floor)
        self.started.fill_(True)

    def forget(self) -> None:
        """Start the next M-step afresh."""
        self.started.fill_(False)

    @torch.no_grad()
    def maximise(self, averages: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Maximise the likelihood for one average scatter: the best of several starts.

        The likelihood has local maxima, mostly such as give a factor to a single feature.
        """
        factor = factor_of(averages)
        variances = averages.diagonal(dim1=-2, dim2=-1)
        # The diagonal of the inverse: factors cannot explain more of a feature.
        ridge = torch.diag_embed((1e-9 * variances).maximum(1e-2 * floor))
        bounds = 0.5 / torch.linalg.inv(averages + ridge).diagonal(dim1=-2, dim2=-1)
        starts = torch.cat([*_starts(factor[0].mT, self.rank), bounds])
        self._take_best(
            lambda logarithms: Profile.of_factor(factor, logarithms, self.rank), starts, floor, deadline
        )

    @torch.no_grad()
    def maximise_root(self, root: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Maximise as above; of few rows, with the diagonal of the second derivatives alone.

        Where more than single noise variances end at the floor, it is the floor that limits the likelihood,
        and not the model; it then falls to what rounding leaves of the rows.
        """
        starts = torch.cat([*_starts(root, self.rank), 0.5 * root.square().sum(0, keepdim=True)])

        def in_full(logarithms: Tensor) -> Profile:
            return Profile.of_factor(root.mT[None], logarithms, self.rank)

        def by_rows(logarithms: Tensor) -> RootProfile:
            return RootProfile(root, logarithms, self.rank)

        self._take_best(by_rows if len(root) < self.features else in_full, starts, floor, deadline)
        if self.limited and not self.cut_short:
            ends = self.log_noise_variances.detach().double().exp()
            starts = torch.cat([ends, *_starts(root, self.rank)])
            self._take_best(in_full, starts, floor * _ROUNDING_OF_FLOORS, deadline)

    def _is_limited(self, profile: Profile | RootProfile, floor: Tensor) -> bool:
        noise_variances = profile.logarithms.exp()
        at_floor = noise_variances <= floor * 1.01
        # A constant feature's noise has nowhere to end but at the floor.
        varies = noise_variances + profile.loadings().square().sum(-1) > floor * 1.01
        return bool((at_floor & varies & (profile.slopes() < -_FLAT)).any())

    def _take_best(
        self,
        profile_at: ProfileAt,
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
            logarithms, values = climb(profile_at, logarithms, floor, _EXPLORED, deadline, _LITTLE)
            logarithms = logarithms[values.topk(min(pursued, len(logarithms))).indices]
        logarithms, values = climb(profile_at, logarithms, floor, _MOST_STEPS, deadline)
        best = profile_at(logarithms[values.argmax()][None])
        loadings, noise_variances = best.loadings(), best.logarithms.exp()
        self.limited = self._is_limited(best, floor)
        self._set(torch.ones_like(noise_variances[:, :1]), canonical(loadings), noise_variances)
        self.started.fill_(True)
        late = deadline is not None and time.monotonic() > deadline
        self.cut_short = late or left_out


def _starts(root: Tensor, rank: int) -> list[Tensor]:
    """Return noise variances to climb from, each of shape ``(..., D)``, for a scatter RᵀR: safe first."""
    variances = root.square().sum(0, keepdim=True)
    # What principal components leave, of features in own units and in common ones.
    starts = []
    for units in (torch.where(variances > 0.0, variances, 1.0).sqrt(), torch.ones_like(variances)):
        values, vectors, _ = leading(root / units, rank)
        left = variances - (vectors.square() * values).sum(-1) * units.square()
        starts.append(left.maximum(_LEAST_SHARE * variances))
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(_RANDOM_STARTS, variances.shape[-1], generator=generator, dtype=variances.dtype)
    # Or nothing is explained.
    return [*starts, variances, variances * shares.clamp_min(_LEAST_SHARE).to(variances.device)]
