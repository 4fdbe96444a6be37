"""Mixtures of probabilistic PCA and of factor analysers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from logpx.latent.covariances import LowRankCovariance
from logpx.latent.gaussian_mixture import GaussianMixture
from logpx.latent.linear_posterior import linear_posterior
from logpx.latent.priors import ConjugatePrior

__all__ = ["MixtureOfFactorAnalysers", "MixtureOfPPCA"]


class _MixtureOfSubspaces(GaussianMixture):
    """A Gaussian mixture whose components each have a latent vector."""

    # The low-rank covariance of the components: one of `COVARIANCES`.
    subspaces: ClassVar[str]

    def __init__(
        self,
        components: int,
        features: int,
        latent: int,
        *,
        prior: ConjugatePrior | None = None,
        floor: float = 1e-6,
    ) -> None:
        super().__init__(components, features, self.subspaces, latent, prior=prior, floor=floor)
        self.latent = latent

    @property
    def loadings(self) -> Tensor:
        """The matrices W, shape ``(K, D, q)``."""
        return self._low_rank().loadings

    @property
    def noise_variances(self) -> Tensor:
        """The variances of the noise, shape ``(K, D)``."""
        return self._low_rank().noise_variances()

    def latent_posterior(self, x: Tensor) -> MixtureSameFamily:
        """Return the distribution of the latent vector given x, a mixture over the components.

        Parameters
        ----------
        x
            Shape ``(n, D)``; NaN for missing cells.
        """
        each = [
            linear_posterior(loadings, noise_variances, mean, x)
            for loadings, noise_variances, mean in zip(
                self.loadings, self.noise_variances, self.means, strict=True
            )
        ]
        means = torch.stack([part.mean for part in each], -2)
        factors = torch.stack([part.scale_tril for part in each], -3)
        chosen = Categorical(logits=self.posterior(x).logits, validate_args=False)
        return MixtureSameFamily(
            chosen, MultivariateNormal(means, scale_tril=factors, validate_args=False), validate_args=False
        )

    def _low_rank(self) -> LowRankCovariance:
        covariance = self.parts.covariance
        assert isinstance(covariance, LowRankCovariance)
        return covariance


class MixtureOfPPCA(_MixtureOfSubspaces):
    r"""A mixture of probabilistic PCA: :math:`\Sigma_k = W_k W_k^\top + \sigma_k^2 I`.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of features D.
    latent
        The number of latent dimensions q of each, below D.
    prior, floor
        As in `GaussianMixture`.

    References
    ----------
    Tipping and Bishop 1999, Mixtures of probabilistic principal component analysers.

    Examples
    --------
    >>> MixtureOfPPCA(components=3, features=5, latent=2).free_parameters
    47
    """

    subspaces = "principal"


class MixtureOfFactorAnalysers(_MixtureOfSubspaces):
    r"""A mixture of factor analysers: :math:`\Sigma_k = W_k W_k^\top + \mathrm{diag}(\psi_k)`.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of features D.
    latent
        The number of factors q of each, below D.
    prior, floor
        As in `GaussianMixture`.

    References
    ----------
    Ghahramani and Hinton 1996, The EM algorithm for mixtures of factor analyzers.

    Examples
    --------
    >>> MixtureOfFactorAnalysers(components=3, features=5, latent=2).free_parameters
    59
    """

    subspaces = "low_rank"
