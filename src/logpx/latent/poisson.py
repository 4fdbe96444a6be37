"""Mixtures of columns of counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.latent.covariances.base import NO_ROWS
from logpx.latent.feature_components import LEAST_LOG, FeatureComponents
from logpx.latent.mixture import LatentMixture

__all__ = ["PoissonComponents", "PoissonMixture"]

# Log-factorials of counts below this are looked up.
_TABLED = 4096


class PoissonComponents(FeatureComponents):
    """K distributions of columns of counts 0, 1, 2, ..., independent within a component; NaN is missing.

    The features of a row are its counts, then whether each is observed. Log-rates are kept at -700 or more: a
    column that is 0 in all rows of a component gets the rate e⁻⁷⁰⁰, which leaves their likelihood unchanged.
    Densities are computed in float64, because their terms are much larger than their sum.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of columns.
    prior_rows
        The number of pseudo-rows in each component's prior, a Gamma distribution of the rate. They have the
        mean count of the data (half a count over all rows, for a column without any).

    Examples
    --------
    >>> parts = PoissonComponents(components=1, features=2)
    >>> parts.log_prob(torch.tensor([[0.0, torch.nan]]))
    tensor([[-1.]], grad_fn=<ToCopyBackward0>)
    """

    def __init__(self, components: int, features: int, prior_rows: float = 0.0) -> None:
        check_count("features", features)
        super().__init__(components, features, prior_rows, torch.ones(2 * features))
        self.log_rates = nn.Parameter(torch.zeros(components, features))

    @property
    def free_parameters(self) -> int:
        """One rate per component and column."""
        return self.log_rates.numel()

    def coefficients(self) -> Tensor:
        """Return the log-rates, then the negated rates, in float64: ``(K, 2 columns)``."""
        log_rates = self.log_rates.double()
        return torch.cat([log_rates, -log_rates.exp()], 1)

    def encode(self, x: Tensor) -> Tensor:
        """Return the counts, then whether they are observed."""
        missing = x.isnan()
        return torch.cat([x.masked_fill(missing, 0.0), (~missing).to(x.dtype)], 1)

    def base(self, x: Tensor) -> Tensor:
        """Return minus the log-factorials of the counts, shape ``(n,)``."""
        counts = x.nan_to_num(nan=0.0)
        most = int(counts.max().item()) if counts.numel() else 0
        if most >= _TABLED:
            return -torch.lgamma(counts + 1.0).sum(1)
        # Looked up, because computing them would take as long as the rest of the E-step.
        table = torch.lgamma(torch.arange(1, most + 2, device=x.device, dtype=x.dtype))
        return -table[counts.long()].sum(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of rows under each component, shape ``(K, n)``."""
        return super().log_prob(x.double()).to(x.dtype)

    def possible(self, x: Tensor) -> Tensor:
        """Return whether each cell is a count or missing."""
        return ((x >= 0.0) & (x == x.floor()) & x.isfinite()) | x.isnan()

    def expected(self, column: int) -> tuple[str, str]:
        """Return the possible values and the remedy, in words."""
        return "a count (0, 1, 2, ...)", "correct the counts, or take the column to be normal"

    @torch.no_grad()
    def maximise(self, sums: Tensor) -> None:
        """Set the rates to the mean counts."""
        total, count = sums.chunk(2, 1)
        log_rates = (total.log() - count.log()).clamp_min(LEAST_LOG)
        self.log_rates.copy_(torch.where(count <= NO_ROWS, self.log_rates, log_rates))

    def average(self, sums: Tensor, count: Tensor) -> Tensor:
        """Return the mean counts, never 0, then ones."""
        return torch.cat([sums[: self.features].clamp_min(0.5) / count, torch.ones_like(count)])

    def embedding(self, x: Tensor) -> Tensor:
        """Return square roots, whose variance does not grow with the rate."""
        return x.sqrt()

    def best_values(self, responsibilities: Tensor) -> Tensor:
        """Return the mean count."""
        return responsibilities @ self.expectations().double()

    def draw(self, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw rows of the chosen components, shape ``(n, columns)``."""
        rates = self.expectations().detach().to(chosen.device)
        return torch.poisson(rates[chosen], generator=generator)

    def empty(self, columns: Sequence[int]) -> PoissonComponents:
        """Return components of some columns."""
        return PoissonComponents(self.components, len(columns))

    def expectations(self) -> Tensor:
        """Return the rates, shape ``(K, columns)``."""
        return self.log_rates.exp()


class PoissonMixture(LatentMixture):
    r"""A mixture of products of Poisson distributions, fitted by EM.

    :math:`p(x) = \sum_k \pi_k \prod_j e^{-\lambda_{kj}} \lambda_{kj}^{x_j} / x_j!` for columns of counts. A
    missing cell is NaN and drops out; a value that is not a count has log-probability -inf, and a fit refuses
    it.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of columns.
    prior_rows
        The number of pseudo-rows in the prior of each component's rates, at the mean count of the data; 0
        means maximum likelihood, which gives the rate e⁻⁷⁰⁰ to a column that was always 0 in a component. The
        weights have no prior.

    Raises
    ------
    UsageError
        If a number is invalid.

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.poisson(torch.tensor([[2.0, 40.0], [30.0, 5.0]]).repeat(50, 1))
    >>> mixture = PoissonMixture(components=2, features=2)
    >>> result = logpx.fit(mixture, x)
    >>> mixture.rates.shape, mixture.condition([0], [3.0]).log_prob(torch.tensor([[41.0]])).shape
    (torch.Size([2, 2]), torch.Size([1]))
    """

    gains_from_noise = False

    parts: PoissonComponents

    def __init__(self, components: int, features: int, prior_rows: float = 0.0) -> None:
        super().__init__(PoissonComponents(components, features, prior_rows))

    @property
    def rates(self) -> Tensor:
        """The mean counts, shape ``(K, columns)``."""
        return self.parts.expectations()

    def blank(self, columns: Sequence[int]) -> PoissonMixture:
        """Return a mixture of some of the columns with parameters not yet set."""
        return PoissonMixture(self.components, len(columns))
