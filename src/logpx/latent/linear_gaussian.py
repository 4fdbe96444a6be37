"""Linear-Gaussian latent-variable models: a normal latent vector, a linear map, independent noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Independent, MixtureSameFamily, MultivariateNormal, Normal

from logpx.distributions import Distribution, Moments
from logpx.distributions.conditional import Marginals
from logpx.distributions.missing import check_all_finite
from logpx.distributions.moments import triangle_of
from logpx.errors import DataError
from logpx.latent.covariances import LowRankCovariance
from logpx.latent.gaussian_mixture import GaussianMixture
from logpx.latent.linear_posterior import linear_posterior
from logpx.latent.statistics import MixtureStatistics
from logpx.transforms.base import check_event

__all__ = ["FactorAnalysis", "LinearGaussian", "ProbabilisticPCA"]

# The least noise variance relative to a column's, where it is 0 at the maximum (a Heywood case): the
# likelihood hardly depends on it then.
_LEAST_NOISE = 1e-12
# Less than the rounding errors of any rows.
_NO_FLOOR = 1e-28
# A noise variance below this share of the total has not enough digits in a covariance in double precision.
_LOST_IN_SCATTER = 1e-8


class LinearGaussian(Distribution):
    r""":math:`x = W z + \mu + \varepsilon` with :math:`z \sim N(0, I_q)` and independent normal noise.

    So :math:`p(x) = N(\mu, W W^\top + \Psi)`. A missing cell is NaN; it is integrated out, and EM treats it
    exactly. W is known only up to a rotation: compare :math:`W W^\top`, never W.

    Parameters
    ----------
    features
        The number of features D.
    latent
        The number of latent dimensions q, below D.
    """

    allows_missing = True

    def __init__(self, features: int, latent: int, covariance: str, floor: float) -> None:
        super().__init__(features)
        self.latent = latent
        self.normal = GaussianMixture(1, features, covariance, rank=latent, floor=floor)
        self.normal.logits.requires_grad_(False)
        self.components = 1

    @property
    def covariance(self) -> LowRankCovariance:
        """The object that holds loadings and noise."""
        covariance = self.normal.parts.covariance
        assert isinstance(covariance, LowRankCovariance)
        return covariance

    @property
    def mean(self) -> Tensor:
        """The mean μ, shape ``(D,)``."""
        return self.normal.means[0]

    @property
    def loadings(self) -> Tensor:
        """The matrix W, shape ``(D, q)``."""
        return self.covariance.loadings[0]

    @property
    def noise_variances(self) -> Tensor:
        """The variances of the noise, shape ``(D,)``."""
        return self.covariance.noise_variances()[0]

    @property
    def free_parameters(self) -> int:
        """How many numbers can vary independently: rotations of W do not count."""
        return self.normal.free_parameters

    @property
    def prior(self) -> Independent[Normal]:
        """p(z), torch's standard normal distribution."""
        zero = torch.zeros_like(self.loadings[0])
        return Independent(Normal(zero, torch.ones_like(zero)), 1)

    def likelihood(self, z: Tensor) -> Independent[Normal]:
        """Return p(x given z) for z of shape ``(*rows, q)``, as a distribution of torch.

        Raises
        ------
        UsageError, DataError
            If the shape is another, or a number is not finite.
        """
        check_event(z, (self.latent,))
        z = z.to(self.loadings.dtype)
        check_all_finite(z)
        scale = self.noise_variances.sqrt()
        return Independent(Normal(z @ self.loadings.mT + self.mean, scale), 1)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        r"""Return p(z given x), as a distribution of torch.

        With :math:`M = I + W^\top \Psi^{-1} W` (q × q) it is
        :math:`N(M^{-1} W^\top \Psi^{-1} (x - \mu),\; M^{-1})`; a row with missing cells uses only the rows of
        W and Ψ of its observed cells.

        Parameters
        ----------
        x
            Shape ``(*rows, D)``.
        """
        return linear_posterior(self.loadings, self.noise_variances, self.mean, x)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density of the observed cells in nats, shape ``(*rows,)``."""
        return self.normal.log_prob(x)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, D)``."""
        return self.normal.sample(n, seed=seed)

    def reconstruct(self, x: Tensor) -> Tensor:
        r"""Return the orthogonal projection of rows onto the latent plane: the least-squares reconstruction.

        W times the posterior mean is not that projection, because the mean is shrunk towards 0.

        Parameters
        ----------
        x
            Shape ``(*rows, D)``, without missing cells.

        Raises
        ------
        DataError
            If a cell is missing or infinite.
        """
        check_all_finite(x)
        w = self.loadings
        centred = x.to(w.dtype) - self.mean
        solved: Tensor = torch.linalg.lstsq(w.detach(), centred.reshape(-1, len(w)).mT).solution
        return (w @ solved).mT.view(x.shape) + self.mean

    def marginal(self, columns: Sequence[int]) -> GaussianMixture:
        """Return the normal distribution of some columns, as a mixture of one component."""
        return self.normal.marginal(columns)

    def condition(self, columns: Sequence[int], values: Any) -> GaussianMixture | MixtureSameFamily:
        """Return the normal distribution of the other columns; see `GaussianMixture.condition`."""
        return self.normal.condition(columns, values)

    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells; see `GaussianMixture.impute`."""
        return self.normal.impute(x, draws, seed)

    def conditional_marginals(self, x: Tensor, column: int) -> Marginals:
        """Return the normal distribution of a column given the others; see `GaussianMixture`."""
        return self.normal.conditional_marginals(x, column)

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> MixtureStatistics:
        """E-step for rows, whose cells may be missing."""
        return self.normal.statistics(x, weights)

    def update(self, statistics: MixtureStatistics) -> None:
        """M-step."""
        self.normal.update(statistics)

    def log_prior(self) -> Tensor:
        """Return 0: there is no prior."""
        return self.normal.log_prior()

    def feasible(self) -> bool:
        """Return whether the noise respects its floor."""
        return self.normal.feasible()

    def collapsed(self, statistics: MixtureStatistics) -> list[str]:
        """Return nothing: a noise variance at its floor is a Heywood case, not a reason to start again."""
        return []

    @torch.no_grad()
    def initialise_components(self, x: Tensor, seed: int = 0, start: str | None = None) -> None:
        """Start EM from the moments of rows, with missing cells replaced by the mean."""
        self.normal.initialise_components(x, seed, start)

    def match_moments(self, x: Tensor) -> None:
        """Fit rows with missing cells to the moments of pairs of columns, without EM."""
        self.normal.match_moments(x)

    @torch.no_grad()
    def update_from_moments(self, moments: Moments, deadline: float | None = None) -> float:
        """Maximise the likelihood of complete rows, which depends only on their mean and scatter.

        Parameters
        ----------
        moments
            With a full scatter.
        deadline
            A value of ``time.monotonic()`` at which factor analysis ends with the best found so far.

        Returns
        -------
        float
            The mean log-likelihood per row at the maximum, in nats.

        Raises
        ------
        DataError
            If there are no rows, or a column is not finite or never varies (if constants are allowed, no
            column varies).
        """
        self._check_count(moments)
        covariance = moments.scatter / moments.count
        self._set_units(moments.mean, covariance.diagonal())
        self.covariance.maximise(covariance[None], self.normal.parts.floors, deadline)
        penalty = self.covariance.penalty(covariance[None]).item()
        return -0.5 * (penalty + len(covariance) * math.log(2.0 * math.pi))

    @torch.no_grad()
    def update_from_rows(
        self, x: Tensor, weights: Tensor | None = None, deadline: float | None = None
    ) -> float:
        """Maximise the likelihood of complete rows; with no more rows than columns, in O(n² D).

        Parameters
        ----------
        x
            Shape ``(n, D)``.
        weights
            Shape ``(n,)``; None for 1 each.
        deadline
            As in `update_from_moments`.

        Returns
        -------
        float
            The mean log-likelihood per row at the maximum, in nats.

        Raises
        ------
        DataError
            As in `update_from_moments`.
        """
        if len(x) > x.shape[1]:
            moments = Moments.of(x, weights, full=True)
            found = self.update_from_moments(moments, deadline)
            if not self.needs_root(moments):
                return found
            return self.update_from_root(moments.mean, triangle_of([(x, weights)], moments), deadline)
        moments = Moments.of(x, weights)
        self._check_count(moments)
        shares = x.new_ones(len(x)) if weights is None else weights
        shares = shares.double() / moments.count
        root = (x.double() - moments.mean) * shares.sqrt()[:, None]
        return self.update_from_root(moments.mean, root, deadline)

    def needs_root(self, moments: Moments) -> bool:
        """Return whether the maximum found from moments is inexact, for rounding in their scatter."""
        return self.covariance.limited and not self.covariance.cut_short

    @torch.no_grad()
    def update_from_root(self, mean: Tensor, root: Tensor, deadline: float | None = None) -> float:
        """Maximise the likelihood of rows with this mean and the average scatter RᵀR.

        Parameters
        ----------
        mean
            Shape ``(D,)``, float64.
        root
            R, shape ``(n, D)`` with n at most D, float64.
        deadline
            As in `update_from_moments`.

        Returns
        -------
        float
            The mean log-likelihood per row at the maximum, in nats.
        """
        self._set_units(mean, root.square().sum(0))
        self.covariance.maximise_root(root, self.normal.parts.floors, deadline)
        penalty = self.covariance.penalty_of_root(root[None]).item()
        return -0.5 * (penalty + root.shape[1] * math.log(2.0 * math.pi))

    def _check_count(self, moments: Moments) -> None:
        if not bool(moments.count > 0):
            raise DataError("there are no rows", fix="pass two or more; rows of weight 0 do not count")

    def _set_units(self, mean: Tensor, variance: Tensor) -> None:
        parts = self.normal.parts
        parts.set_units(mean, parts.scales_of(mean, variance, self.allows_constants))
        parts.means.copy_(mean[None])


class ProbabilisticPCA(LinearGaussian):
    r"""Probabilistic PCA: :math:`x = W z + \mu + \varepsilon`, with noise of one variance σ².

    Complete rows are fitted in closed form: with the eigenvalues λ and eigenvectors U of the covariance
    (divided by n), :math:`\sigma^2 = \frac{1}{D - q} \sum_{j > q} \lambda_j` and
    :math:`W = U_q (\Lambda_q - \sigma^2 I)^{1/2}`. Rows with missing cells are fitted by EM.

    Parameters
    ----------
    features
        The number of features D.
    latent
        The number of latent dimensions q, at least 0 and below D.

    Raises
    ------
    UsageError
        If the number of latent dimensions is invalid.

    References
    ----------
    Tipping and Bishop 1999, Probabilistic principal component analysis.

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.randn(500, 2) @ torch.randn(2, 5) + 0.1 * torch.randn(500, 5)
    >>> model = ProbabilisticPCA(features=5, latent=2)
    >>> result = logpx.fit(model, x)
    >>> model.posterior(x).mean.shape, model.noise_variance.item() < 0.02
    (torch.Size([500, 2]), True)
    """

    allows_constants = True

    def __init__(self, features: int, latent: int) -> None:
        super().__init__(features, latent, "principal", floor=_NO_FLOOR)

    def needs_root(self, moments: Moments) -> bool:
        """Return whether the noise is so small beside the variance that the scatter has lost its digits."""
        largest = float(moments.scatter.diagonal().sum() / moments.count)
        return float(self.noise_variance.detach()) < _LOST_IN_SCATTER * largest

    @property
    def noise_variance(self) -> Tensor:
        """The variance σ² of the noise, shape ``()``."""
        return self.noise_variances[0]


class FactorAnalysis(LinearGaussian):
    r"""Factor analysis: :math:`x = W z + \mu + \varepsilon`, with a noise variance for every feature.

    The likelihood of complete rows depends on their mean and covariance alone: a fit makes one pass over the
    rows, then works on a D × D matrix.

    Parameters
    ----------
    features
        The number of features D.
    latent
        The number of factors q, at least 0 and below D.

    Raises
    ------
    UsageError
        If the number of factors is invalid.

    References
    ----------
    Rubin and Thayer 1982, EM algorithms for ML factor analysis; Jöreskog 1967.

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.randn(500, 2) @ torch.randn(2, 5) + 0.1 * torch.randn(500, 5)
    >>> model = FactorAnalysis(features=5, latent=2)
    >>> result = logpx.fit(model, x)
    >>> model.loadings.shape, model.noise_variances.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(self, features: int, latent: int) -> None:
        super().__init__(features, latent, "low_rank", floor=_LEAST_NOISE)
