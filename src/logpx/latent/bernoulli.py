"""Mixtures of columns that are 0 or 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from logpx.arguments import check_count
from logpx.distributions.conditional import CategoryMarginals
from logpx.latent.covariances.base import NO_ROWS
from logpx.latent.feature_components import LEAST_LOG, FeatureComponents
from logpx.latent.mixture import LatentMixture

__all__ = ["BernoulliComponents", "BernoulliMixture"]


class BernoulliComponents(FeatureComponents):
    """K distributions of columns that are 0 or 1, independent within a component; NaN is missing.

    The features of a row say whether each cell is 1, then whether it is 0. Logits are kept between -700 and
    700: a value that no row of a component has gets the probability e⁻⁷⁰⁰, which leaves the likelihood of
    the rows unchanged.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of columns.
    prior_rows
        The number of pseudo-rows in each component's prior. In them a column is 1 as often as in the data
        plus one row that is half 0 and half 1.

    Examples
    --------
    >>> parts = BernoulliComponents(components=2, features=3)
    >>> parts.log_prob(torch.tensor([[0.0, 1.0, torch.nan]])).exp()
    tensor([[0.2500],
            [0.2500]], grad_fn=<ExpBackward0>)
    """

    def __init__(self, components: int, features: int, prior_rows: float = 0.0) -> None:
        check_count("features", features)
        super().__init__(components, features, prior_rows, torch.full((2 * features,), 0.5))
        self.logits = nn.Parameter(torch.zeros(components, features))

    @property
    def free_parameters(self) -> int:
        """One probability per component and column."""
        return self.logits.numel()

    def coefficients(self) -> Tensor:
        """Return the log-probabilities of 1, then of 0, shape ``(K, 2 columns)``."""
        return torch.cat([logsigmoid(self.logits), logsigmoid(-self.logits)], 1)

    def encode(self, x: Tensor) -> Tensor:
        """Return which cells are 1, then which are 0."""
        return torch.cat([x == 1.0, x == 0.0], 1).to(x.dtype)

    def possible(self, x: Tensor) -> Tensor:
        """Return whether each cell is 0, 1 or missing."""
        return (x == 0.0) | (x == 1.0) | x.isnan()

    def expected(self, column: int) -> tuple[str, str]:
        """Return the possible values and the remedy, in words."""
        return "0 or 1", "recode the column as 0 and 1, with NaN for missing cells"

    @torch.no_grad()
    def maximise(self, sums: Tensor) -> None:
        """Set the probabilities to the shares of ones."""
        ones, zeros = sums.chunk(2, 1)
        logits = (ones.log() - zeros.log()).clamp(LEAST_LOG, -LEAST_LOG)
        self.logits.copy_(torch.where(ones + zeros <= NO_ROWS, self.logits, logits))

    def average(self, sums: Tensor, count: Tensor) -> Tensor:
        """Return how often a cell is 1, then 0, never quite 0."""
        return (sums + 0.5) / (count + 1.0).repeat(2)

    def best_values(self, responsibilities: Tensor) -> Tensor:
        """Return the more probable value."""
        return (responsibilities @ self.expectations().double() > 0.5).to(responsibilities.dtype)

    def draw(self, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw rows of the chosen components, shape ``(n, columns)``."""
        uniform = torch.rand(
            len(chosen), self.features, generator=generator, device=chosen.device, dtype=torch.float64
        )
        probabilities = self.expectations().detach().to(chosen.device).double()
        return (uniform < probabilities[chosen]).to(self.logits.dtype)

    def conditional_marginals(self, x: Tensor, column: int, responsibilities: Tensor) -> CategoryMarginals:
        """Return the probabilities of 0 and 1: given the component, other cells do not matter."""
        one = responsibilities.double() @ self.expectations()[:, column].detach().double()
        return CategoryMarginals(torch.stack([1.0 - one, one], 1))

    def empty(self, columns: Sequence[int]) -> BernoulliComponents:
        """Return components of some columns."""
        return BernoulliComponents(self.components, len(columns))

    def expectations(self) -> Tensor:
        """Return the probabilities of 1, shape ``(K, columns)``."""
        return torch.sigmoid(self.logits)


class BernoulliMixture(LatentMixture):
    r"""A mixture of products of Bernoulli distributions (latent class analysis of yes and no), fitted by EM.

    :math:`p(x) = \sum_k \pi_k \prod_j \theta_{kj}^{x_j} (1 - \theta_{kj})^{1 - x_j}` for columns that are 0
    or 1. A missing cell is NaN and drops out; any other value has log-probability -inf, and a fit refuses
    it.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of columns.
    prior_rows
        The number of pseudo-rows in the prior of each component's probabilities, at the frequencies of the
        data; 0 means maximum likelihood, which gives e⁻⁷⁰⁰ to a value that a component never had. The weights
        have no prior.

    Raises
    ------
    UsageError
        If a number is invalid.

    References
    ----------
    Lazarsfeld and Henry 1968, Latent structure analysis.

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]).repeat(50, 1)
    >>> mixture = BernoulliMixture(components=2, features=3)
    >>> result = logpx.fit(mixture, x)
    >>> round(mixture.log_prob(x).mean().exp().item(), 3)
    0.5
    >>> mixture.impute(torch.tensor([[1.0, torch.nan, torch.nan]]))
    tensor([[1., 1., 0.]])
    """

    gains_from_noise = False

    parts: BernoulliComponents

    def __init__(self, components: int, features: int, prior_rows: float = 0.0) -> None:
        super().__init__(BernoulliComponents(components, features, prior_rows))

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of 1, shape ``(K, columns)``."""
        return self.parts.expectations()

    def blank(self, columns: Sequence[int]) -> BernoulliMixture:
        """Return a mixture of some of the columns with parameters not yet set."""
        return BernoulliMixture(self.components, len(columns))
