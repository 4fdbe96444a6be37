"""Components with independent columns, whose log-density is linear in features of a row."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from logpx.arguments import check_number
from logpx.distributions.column_checks import refuse_empty
from logpx.errors import DataError, UsageError
from logpx.latent.components import Components
from logpx.latent.statistics import DiscreteStatistics

__all__ = ["LEAST_LOG", "FeatureComponents", "FeatureEStep"]

# The least log-probability of a value: e^-700 is close to the smallest number that float64 holds.
LEAST_LOG = -700.0


class FeatureComponents(Components):
    r"""Components with :math:`\log p_k(x) = w_k \cdot f(x) + b(x)`, where a missing cell has no features.

    The densities of many rows under all components are then one matrix product, and so are the sums that the
    M-step needs. Given the component, columns are independent.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of columns.
    prior_rows
        The number of pseudo-rows in each component's prior, with the features of the data as a whole.
    prior_features
        The features of a pseudo-row until `initialise` has seen data, shape ``(F,)``.

    Raises
    ------
    UsageError
        If a number is invalid.
    """

    prior_features: Tensor
    shared_at_first = 0.05

    def __init__(self, components: int, features: int, prior_rows: float, prior_features: Tensor) -> None:
        super().__init__(components, features)
        check_number("prior_rows", prior_rows)
        if prior_rows < 0.0:
            raise UsageError(f"prior_rows is {prior_rows}", fix="give 0 or more")
        self.prior_rows = float(prior_rows)
        self.register_buffer("prior_features", prior_features)

    @abstractmethod
    def coefficients(self) -> Tensor:
        """Return the weights of the features, shape ``(K, F)``, finite and differentiable."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Return the features of rows of possible values, shape ``(n, F)``; 0 for missing cells."""

    def base(self, x: Tensor) -> Tensor | None:
        """Return the part of the log-density without parameters, shape ``(n,)``; None where it is 0."""
        return None

    @abstractmethod
    def possible(self, x: Tensor) -> Tensor:
        """Return whether each cell has a value that can occur; missing counts as one."""

    @abstractmethod
    def expected(self, column: int) -> tuple[str, str]:
        """Return in words which values a column can have, and what to do about others."""

    @abstractmethod
    def maximise(self, sums: Tensor) -> None:
        """Set the best parameters for sums of features ``(K, F)``; a column without rows keeps its own."""

    @abstractmethod
    def average(self, sums: Tensor, count: Tensor) -> Tensor:
        """Return the features of a pseudo-row.

        Parameters
        ----------
        sums
            The summed features of all rows, shape ``(F,)``.
        count
            How many values each column has, shape ``(columns,)``.
        """

    @abstractmethod
    def best_values(self, responsibilities: Tensor) -> Tensor:
        """Return the value to fill in for each cell, shape ``(n, columns)``.

        Parameters
        ----------
        responsibilities
            The components' share of each row, shape ``(n, K)``, float64.
        """

    @abstractmethod
    def empty(self, columns: Sequence[int]) -> Self:
        """Return new components of these columns, without a prior, with parameters not yet set."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density under each component, ``(K, n)``; -inf where a value cannot occur."""
        possible = self.possible(x)
        safe = x.masked_fill(~possible, 0.0)
        result = self.coefficients().to(x.dtype) @ self.encode(safe).mT
        base = self.base(safe)
        if base is not None:
            result = result + base
        return result.masked_fill(~possible.all(1), -math.inf)

    def e_step(self, x: Tensor, missing: bool) -> FeatureEStep:
        """Begin an E-step."""
        return FeatureEStep(self)

    @torch.no_grad()
    def update(self, statistics: DiscreteStatistics) -> None:
        """M-step; a component that has lost every row, and has no prior, stays where it is."""
        sums = statistics.sums
        if self.prior_rows:
            sums = sums + self.prior_rows * self.prior_features.double()
        self.maximise(sums)

    def log_prior(self) -> Tensor:
        """Return the log-density of the pseudo-rows."""
        if not self.prior_rows:
            return self.prior_features.new_zeros((), dtype=torch.float64)
        return self.prior_rows * (self.coefficients().double() * self.prior_features.double()).sum()

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set the prior from rows.

        Raises
        ------
        DataError
            If a column has no value, or one that cannot occur.
        """
        self.check(x)
        count = (~x.isnan()).sum(0)
        refuse_empty(count == 0)
        self.prior_features.copy_(self.average(self.encode(x).sum(0), count.to(x.dtype)))

    def check(self, x: Tensor, before: int = 0) -> None:
        """Refuse values that cannot occur.

        Parameters
        ----------
        x
            Rows of shape ``(n, columns)``.
        before
            How many rows came before them.

        Raises
        ------
        DataError
            Naming row, column and value.
        """
        wrong = ~self.possible(x)
        if bool(wrong.any()):
            row, column = wrong.nonzero()[0].tolist()
            values, fix = self.expected(column)
            raise DataError(
                f"the value is {x[row, column].item():g}, where {values} was expected",
                row=before + row + 1,
                column=column,
                fix=fix,
            )

    def impute(self, x: Tensor, responsibilities: Tensor) -> Tensor:
        """Fill in missing cells with the best values."""
        return torch.where(x.isnan(), self.best_values(responsibilities).to(x), x)

    def draw_missing(self, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw missing cells, which within a component are independent of the others."""
        return torch.where(x.isnan(), self.draw(chosen, generator).to(x), x)

    @torch.no_grad()
    def marginal(self, columns: Sequence[int]) -> Self:
        """Return the marginals: the columns are independent."""
        result = self.empty(columns).to(self.prior_features)
        for own, other in zip(self.parameters(), result.parameters(), strict=True):
            other.copy_(self.columns_of(own, columns))
        return result

    def columns_of(self, parameter: Tensor, columns: Sequence[int]) -> Tensor:
        """Return the part of a parameter that belongs to some columns."""
        return parameter[:, list(columns)]

    def condition(self, columns: Sequence[int], values: Tensor) -> Self:
        """Return the marginals of the other columns: within a component these columns do not affect them."""
        return self.marginal([column for column in range(self.features) if column not in set(columns)])

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"components={self.components}, features={self.features}"


class FeatureEStep:
    """One pass over rows: densities and sums as one matrix product each.

    Parameters
    ----------
    parts
        The components.
    """

    def __init__(self, parts: FeatureComponents) -> None:
        self._parts = parts
        self._weights = parts.coefficients().detach().double()
        self._sums = torch.zeros_like(self._weights)
        self._features = self._sums[:0]
        self._rows = 0

    def log_prob(self, x: Tensor) -> Tensor:
        """Multiply the features of the rows by the weights of the components.

        Raises
        ------
        DataError
            If a value cannot occur: the row has density 0 under every component.
        """
        self._parts.check(x, self._rows)
        self._rows += len(x)
        self._features = self._parts.encode(x)
        result = self._weights @ self._features.mT
        base = self._parts.base(x)
        return result if base is None else result.add_(base)

    def add(self, shares: Tensor) -> None:
        """Multiply the shares by the features."""
        self._sums.addmm_(shares, self._features)

    def statistics(self) -> DiscreteStatistics:
        """Return the sums."""
        return DiscreteStatistics(self._sums)
