"""Mixtures of columns that hold one of several levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.distributions.conditional import CategoryMarginals
from logpx.errors import UsageError
from logpx.latent.covariances.base import NO_ROWS
from logpx.latent.feature_components import LEAST_LOG, FeatureComponents
from logpx.latent.mixture import LatentMixture

__all__ = ["CategoricalComponents", "CategoricalMixture"]


class CategoricalComponents(FeatureComponents):
    """K distributions of columns of codes 0, 1, ..., independent within a component; NaN is missing.

    The features of a row are its cells as 0 and 1, one per level, column after column. Log-probabilities are
    kept at -700 or more: a level that no row of a component has gets e⁻⁷⁰⁰, which leaves the likelihood of
    the rows unchanged.

    Parameters
    ----------
    components
        The number of components K.
    levels
        How many levels each column has.
    prior_rows
        The number of pseudo-rows in each component's prior. In them levels are as frequent as in the data
        plus one row that is spread equally.

    Raises
    ------
    UsageError
        If there is no column, or a column has fewer than two levels.

    Examples
    --------
    >>> parts = CategoricalComponents(components=1, levels=[4, 2])
    >>> parts.log_prob(torch.tensor([[3.0, torch.nan]])).exp()
    tensor([[0.2500]], grad_fn=<ExpBackward0>)
    """

    def __init__(self, components: int, levels: Sequence[int], prior_rows: float = 0.0) -> None:
        if isinstance(levels, (str, bytes)) or not isinstance(levels, Sequence) or not levels:
            raise UsageError(f"levels is {levels!r}", fix="give a list with the number of levels per column")
        for size in levels:
            check_count("levels", size, least=2)
        equal = [1.0 / size for size in levels for _ in range(size)]
        super().__init__(components, len(levels), prior_rows, torch.tensor(equal, dtype=torch.float64))
        self.levels = list(levels)
        self.logits = nn.Parameter(torch.zeros(components, sum(levels)))

    @property
    def free_parameters(self) -> int:
        """One less than the levels, per component and column."""
        return self.components * (sum(self.levels) - self.features)

    def coefficients(self) -> Tensor:
        """Return the log-probabilities of all levels, column after column: ``(K, levels)``."""
        return torch.cat([torch.log_softmax(part, 1) for part in torch.split(self.logits, self.levels, 1)], 1)

    def probabilities(self) -> list[Tensor]:
        """Return the probabilities of the levels of each column, each of shape ``(K, levels)``."""
        return [torch.softmax(part, 1) for part in torch.split(self.logits, self.levels, 1)]

    def encode(self, x: Tensor) -> Tensor:
        """Return one number per level: whether the cell has that level."""
        result = x.new_zeros(len(x), sum(self.levels))
        sizes = self._sizes(x.device)
        codes = x.nan_to_num(nan=0.0).long() + sizes.cumsum(0) - sizes
        return result.scatter_(1, codes, (~x.isnan()).to(x.dtype))

    def possible(self, x: Tensor) -> Tensor:
        """Return whether each cell is a code of its column, or missing."""
        return ((x >= 0.0) & (x < self._sizes(x.device)) & (x == x.floor())) | x.isnan()

    def expected(self, column: int) -> tuple[str, str]:
        """Return the possible values and the remedy, in words."""
        most = self.levels[column] - 1
        return f"a whole number from 0 to {most}", "number the levels from 0, or name more levels"

    @torch.no_grad()
    def maximise(self, sums: Tensor) -> None:
        """Set the probabilities to the shares of the levels."""
        sizes = self._sizes(sums.device)
        column = torch.arange(self.features, device=sums.device).repeat_interleave(sizes)
        count = sums.new_zeros(len(sums), self.features).index_add_(1, column, sums)[:, column]
        logits = (sums.log() - count.log()).clamp_min(LEAST_LOG)
        self.logits.copy_(torch.where(count <= NO_ROWS, self.logits, logits))

    def average(self, sums: Tensor, count: Tensor) -> Tensor:
        """Return the frequencies of the levels, never quite 0."""
        sizes = self._sizes(sums.device)
        return (sums + (1.0 / sizes).repeat_interleave(sizes)) / (count + 1.0).repeat_interleave(sizes)

    def embedding(self, x: Tensor) -> Tensor:
        """Return one number per level, because codes have no order."""
        missing = x.isnan().repeat_interleave(self._sizes(x.device), 1)
        return self.encode(x).masked_fill(missing, torch.nan)

    def best_values(self, responsibilities: Tensor) -> Tensor:
        """Return the most probable level."""
        each = [(responsibilities @ part.double()).argmax(1) for part in self.probabilities()]
        return torch.stack(each, 1).to(responsibilities.dtype)

    def draw(self, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw rows of the chosen components, shape ``(n, columns)``."""
        uniform = torch.rand(
            len(chosen), self.features, 1, generator=generator, device=chosen.device, dtype=torch.float64
        )
        edges = [part.detach().to(chosen.device).double().cumsum(1)[:, :-1] for part in self.probabilities()]
        each = [(uniform[:, column] >= edge[chosen]).sum(1) for column, edge in enumerate(edges)]
        return torch.stack(each, 1).to(self.logits.dtype)

    def conditional_marginals(self, x: Tensor, column: int, responsibilities: Tensor) -> CategoryMarginals:
        """Return the probabilities of a column's levels: given the component, other cells do not matter."""
        return CategoryMarginals(responsibilities.double() @ self.probabilities()[column].detach().double())

    def empty(self, columns: Sequence[int]) -> CategoricalComponents:
        """Return components of some columns."""
        return CategoricalComponents(self.components, [self.levels[column] for column in columns])

    def columns_of(self, parameter: Tensor, columns: Sequence[int]) -> Tensor:
        """Return the levels of some columns."""
        each = torch.split(parameter, self.levels, 1)
        return torch.cat([each[column] for column in columns], 1)

    def expectations(self) -> Tensor:
        """Return the mean code of each column, shape ``(K, columns)``."""
        each = [part @ torch.arange(part.shape[1]).to(part) for part in self.probabilities()]
        return torch.stack(each, 1)

    def _sizes(self, device: torch.device) -> Tensor:
        return torch.tensor(self.levels, device=device)


class CategoricalMixture(LatentMixture):
    r"""A mixture of products of categorical distributions (latent class analysis), fitted by EM.

    :math:`p(x) = \sum_k \pi_k \prod_j \theta_{kj x_j}`, where column j holds codes from 0 to levels[j] - 1. A
    missing cell is NaN and drops out; any other value has log-probability -inf, and a fit refuses it.

    Parameters
    ----------
    components
        The number of components K.
    levels
        How many levels each column has.
    prior_rows
        The number of pseudo-rows in the prior of each component's probabilities, at the frequencies of the
        data; 0 means maximum likelihood, which gives e⁻⁷⁰⁰ to a level that a component never had. The weights
        have no prior.

    Raises
    ------
    UsageError
        If a number is invalid.

    References
    ----------
    Goodman 1974, Exploratory latent structure analysis using both identifiable and unidentifiable models.

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.tensor([[0.0, 2.0], [1.0, 0.0]]).repeat(50, 1)
    >>> mixture = CategoricalMixture(components=2, levels=[2, 3])
    >>> result = logpx.fit(mixture, x)
    >>> mixture.impute(torch.tensor([[0.0, torch.nan]]))
    tensor([[0., 2.]])
    """

    gains_from_noise = False

    parts: CategoricalComponents

    def __init__(self, components: int, levels: Sequence[int], prior_rows: float = 0.0) -> None:
        super().__init__(CategoricalComponents(components, levels, prior_rows))

    @property
    def probabilities(self) -> list[Tensor]:
        """The probabilities of the levels of each column, each of shape ``(K, levels)``."""
        return self.parts.probabilities()

    def blank(self, columns: Sequence[int]) -> CategoricalMixture:
        """Return a mixture of some of the columns with parameters not yet set."""
        return CategoricalMixture(self.components, [self.parts.levels[column] for column in columns])
