"""The contract of a mixture's components: K distributions of the same columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.distributions.conditional import Marginals
from logpx.errors import UsageError

__all__ = ["Components", "EStep"]

# As many as stay in or near the second-level cache.
_CACHED_NUMBERS = 550_000
_MOST_ROWS = 8192


class EStep(Protocol):
    """One pass over rows, chunk by chunk: a chunk's log-densities, then its share of the statistics."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of rows of shape ``(n, columns)`` under each component: ``(K, n)``."""

    def add(self, shares: Tensor) -> None:
        """Add the rows last looked at, weighted by shares of shape ``(K, n)``."""

    def statistics(self) -> Any:
        """Return the statistics of all rows added."""


class Components(nn.Module, ABC):
    """K distributions of the same columns; a missing cell (NaN) is integrated out.

    Parameters
    ----------
    components
        How many there are.
    features
        The number of columns.

    Attributes
    ----------
    shared_at_first : float
        The share of every row that EM divides equally among all components at the start: above 0 where a
        value that no row of a component has would otherwise stay impossible in it for good.
    """

    shared_at_first: float = 0.0

    def __init__(self, components: int, features: int) -> None:
        super().__init__()
        check_count("components", components)
        check_count("features", features)
        self.components, self.features = int(components), int(features)

    @property
    @abstractmethod
    def free_parameters(self) -> int:
        """How many numbers can vary independently."""

    def rows_at_once(self, missing: bool) -> int:
        """Return how many rows a pass takes at once.

        Parameters
        ----------
        missing
            Whether any of their cells is missing.
        """
        return self._rows_of(self.components + 2 * self.features)

    @property
    def gains_by_threads_for_rows(self) -> bool:
        """Whether passes take long enough for each thread to have rows of its own."""
        return False

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of rows ``(n, columns)`` under each component, shape ``(K, n)``."""

    @abstractmethod
    def e_step(self, x: Tensor, missing: bool) -> EStep:
        """Begin an E-step at the current parameters.

        Parameters
        ----------
        x
            All rows of the pass, float64; the pass reads them chunk by chunk.
        missing
            Whether any of their cells is missing.
        """

    @abstractmethod
    def update(self, statistics: Any) -> None:
        """M-step: maximise the expected log-likelihood plus the log-prior."""

    @abstractmethod
    def log_prior(self) -> Tensor:
        """Return the log-prior of the parameters up to a constant, in nats; 0 without a prior."""

    @abstractmethod
    def initialise(self, x: Tensor) -> None:
        """Set units, floors and priors from rows of shape ``(n, columns)``, float64."""

    def match_moments(self, x: Tensor) -> None:
        """Make all components alike, with the moments of rows of shape ``(n, columns)``, float64."""
        self.initialise(x)
        missing = bool(x.isnan().any())
        passed = self.e_step(x, missing)
        for chunk in torch.split(x, self.rows_at_once(missing)):
            passed.log_prob(chunk)
            passed.add(x.new_full((self.components, len(chunk)), 1.0 / self.components))
        self.update(passed.statistics())

    @abstractmethod
    def draw(self, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw a row from each of the chosen components, shape ``(n,)``: ``(n, columns)``."""

    @abstractmethod
    def draw_missing(self, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw missing cells jointly, given the other cells of a row and its component.

        Parameters
        ----------
        x
            Shape ``(n, columns)``; NaN is missing.
        chosen
            The component of each row, shape ``(n,)``, on the generator's device.
        generator
            None for torch's global one.

        Returns
        -------
        Tensor
            The rows, complete.
        """

    @abstractmethod
    def impute(self, x: Tensor, responsibilities: Tensor) -> Tensor:
        """Fill in missing cells with conditional means, or the most probable value where there is no order.

        Parameters
        ----------
        x
            Shape ``(n, columns)``; NaN is missing.
        responsibilities
            The probabilities of the components given all that is known of each row, shape ``(n, K)``.

        Returns
        -------
        Tensor
            The rows, complete.
        """

    @abstractmethod
    def marginal(self, columns: Sequence[int]) -> Components:
        """Return the joint distributions of some columns, in that order."""

    @abstractmethod
    def condition(self, columns: Sequence[int], values: Tensor) -> Components:
        """Return the distributions of the other columns, given these columns' values ``(columns,)``."""

    def conditional_marginals(self, x: Tensor, column: int, responsibilities: Tensor) -> Marginals:
        """Return the distribution of a column given the other cells that are there, one for every row.

        Parameters
        ----------
        x
            Shape ``(n, columns)``; NaN is missing, as is every cell of the column.
        column
            Its number.
        responsibilities
            The probabilities of the components given all that is known of each row, shape ``(n, K)``.

        Raises
        ------
        UsageError
            If the values of the column have no such distribution of a known form.
        """
        raise UsageError(
            f"the conditional distributions of {type(self).__name__} have no closed form here",
            fix="draw from them with impute",
        )

    @abstractmethod
    def expectations(self) -> Tensor:
        """Return the mean of every column under every component, shape ``(K, columns)``."""

    def embedding(self, x: Tensor) -> Tensor:
        """Return rows as points for clustering, with meaningful distances; NaN where missing.

        Parameters
        ----------
        x
            Shape ``(n, columns)``; NaN is missing.

        Returns
        -------
        Tensor
            Shape ``(n, numbers)``; the rows unchanged where values are numbers.
        """
        return x

    def feasible(self) -> bool:
        """Return whether the parameters respect all limits that the M-step respects."""
        return True

    def collapsed(self, statistics: Any) -> list[str]:
        """Describe each component that has shrunk onto a few rows; return nothing if all is well."""
        return []

    @staticmethod
    def _rows_of(numbers: int, most: int = _CACHED_NUMBERS, least: int = 64) -> int:
        """Return how many rows of so many numbers hold at most `most` in all, within reason."""
        return min(_MOST_ROWS, max(least, most // numbers))
