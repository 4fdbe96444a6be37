"""The Gaussian mixture, with any kind of covariance and with missing cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from logpx.arguments import check_number
from logpx.errors import UsageError
from logpx.latent.covariances import Covariance, covariance_named
from logpx.latent.covariances.roots import triangular_root
from logpx.latent.gaussian_components import GaussianComponents
from logpx.latent.mixture import LatentMixture, known_values
from logpx.latent.priors import ConjugatePrior

__all__ = ["GaussianMixture"]


class GaussianMixture(LatentMixture):
    r""":math:`p(x) = \sum_k \pi_k \, N(x; \mu_k, \Sigma_k)`, fitted by EM.

    A missing cell is NaN: it is integrated out of log p, and EM replaces it by its conditional mean and
    covariance, which is exact if cells are missing at random.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of features D.
    covariance
        One of `logpx.latent.COVARIANCES`: ``full``, ``tied``, ``diagonal``, ``tied_diagonal``, ``spherical``,
        ``tied_spherical``, ``low_rank`` (plus a diagonal: factor analysers), ``principal`` (plus a multiple
        of the identity: probabilistic PCA).
    rank
        The number of latent dimensions of ``low_rank`` and ``principal``.
    prior
        A conjugate prior; None means maximum likelihood.
    floor
        The least variance of a component in any direction, relative to the variances of the data. Without
        one the likelihood of a mixture is unbounded; a fit that ends at the floor is rejected if there is
        another.

    Raises
    ------
    UsageError
        If a number is invalid, or there is no such covariance.

    References
    ----------
    Dempster, Laird and Rubin 1977; Ghahramani and Jordan 1994 (missing cells).

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.cat([torch.randn(200, 2), torch.randn(200, 2) + 8.0])
    >>> mixture = GaussianMixture(components=2, features=2, covariance="full")
    >>> result = logpx.fit(mixture, x)
    >>> mixture.responsibilities(x).shape
    torch.Size([400, 2])
    >>> mixture.marginal([1]).event_shape, mixture.condition([0], [8.0]).log_prob(torch.zeros(1, 1)).shape
    ((1,), torch.Size([1]))
    """

    allows_constants = False
    parts: GaussianComponents

    def __init__(
        self,
        components: int,
        features: int,
        covariance: str = "full",
        rank: int | None = None,
        *,
        prior: ConjugatePrior | None = None,
        floor: float = 1e-6,
    ) -> None:
        check_number("floor", floor)
        if floor < 0.0:
            raise UsageError(f"floor is {floor}", fix="give 0 or more")
        kind = covariance_named(covariance, components, features, rank)
        super().__init__(GaussianComponents(kind, None, floor))
        if prior is not None:
            self.take_prior(prior)

    def take_prior(self, prior: ConjugatePrior) -> None:
        """Use a prior in every later fit.

        Raises
        ------
        UsageError
            If it is not a `ConjugatePrior`.
        """
        if not isinstance(prior, ConjugatePrior):
            raise UsageError(f"the prior is {prior!r}", fix="give a logpx.latent.ConjugatePrior")
        self.parts.take_prior(prior)
        self.weight_rows = prior.weight_rows
        if "prior" in self._arguments:
            # A saved model keeps it too.
            self._arguments["prior"] = prior

    @property
    def means(self) -> Tensor:
        """The components' means, shape ``(K, D)``."""
        return self.parts.means

    @property
    def covariance(self) -> Covariance:
        """The object that holds the covariances."""
        return self.parts.covariance

    @property
    def covariances(self) -> Tensor:
        """The covariances, shape ``(K, D, D)``."""
        return self.parts.matrices().to(self.means.dtype)

    def likelihood(self, z: Tensor) -> MultivariateNormal:
        """Return p(x given z), torch's normal distributions of components z of shape ``(*rows,)``.

        Raises
        ------
        UsageError
            If a z is not the number of a component.
        """
        z = torch.as_tensor(z)
        if z.is_floating_point() or bool(((z < 0) | (z >= self.components)).any()):
            raise UsageError(
                f"z is {z}, where numbers of components were expected",
                fix=f"give whole numbers from 0 to {self.components - 1}",
            )
        factors = triangular_root(self.parts.roots()).to(self.means.dtype)
        return MultivariateNormal(self.means[z], scale_tril=factors[z])

    def blank(self, columns: Sequence[int]) -> GaussianMixture:
        """Return a mixture of some of the columns, with full covariances not yet set."""
        return GaussianMixture(self.components, len(columns), floor=self.parts.floor)

    def condition(self, columns: Sequence[int], values: Any) -> GaussianMixture | MixtureSameFamily:
        """Return the distribution of the other columns, given values of some.

        Parameters
        ----------
        columns
            The known columns.
        values
            Shape ``(columns,)`` for one mixture; or ``(n, columns)`` for n of them, one per row, as torch's
            ``MixtureSameFamily`` of batch shape ``(n,)``. NaN means not known.

        Returns
        -------
        GaussianMixture or MixtureSameFamily
            Over the other columns, in their order.

        Raises
        ------
        UsageError
            If the columns or the shape of the values are invalid, no column is left, or the density of the
            values is 0.
        """
        values = known_values(values, self.means.dtype, self.means.device)
        if values.dim() != 2:
            return super().condition(columns, values)
        known, others = self._known_and_others(columns, values)
        x = values.new_full((len(values), self.event_shape[0]), torch.nan)
        x[:, known] = values
        means, roots = self.parts.conditionals(x.double())
        factors = triangular_root(roots[..., others, :])
        normals = MultivariateNormal(
            means[..., others].to(x), scale_tril=factors.to(x.dtype), validate_args=bool(len(x))
        )
        return MixtureSameFamily(
            Categorical(logits=self._joint(x).mT.detach(), validate_args=bool(len(x))),
            normals,
        )
