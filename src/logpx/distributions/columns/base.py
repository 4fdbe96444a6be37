"""The contract of one column: p(cell given a network's numbers), and what the network sees of a cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from logpx.configuration import Configured

__all__ = ["ColumnDistribution"]


class ColumnDistribution(Configured, nn.Module, ABC):
    """A family of distributions of one column, with parameters from a network.

    All-zero numbers give about the distribution that `initialise` saw, so that a network starts from
    independent columns.

    Attributes
    ----------
    inputs : int
        How many features of a cell there are for a network to weigh.
    outputs : int
        How many numbers the distribution takes of a network.
    predictions : int
        How many predictions of the value it takes behind those.
    """

    inputs: int
    outputs: int
    predictions: int = 0

    @abstractmethod
    def initialise(self, x: Tensor) -> None:
        """Set units and the distribution at the start.

        Parameters
        ----------
        x
            The column's training values, shape ``(n,)``, float64, without missing ones.

        Raises
        ------
        DataError
            If a value is impossible.
        """

    @abstractmethod
    def embed(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the features of cells times a weight, shape ``(n, width)``.

        Parameters
        ----------
        x
            Shape ``(n,)``, float64 and finite, whatever the values.
        weight
            Shape ``(inputs, width)``.
        """

    @abstractmethod
    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return log p of cells in nats, shape ``(n,)``: of a density, or of a mass per step of the grid.

        Parameters
        ----------
        raw
            The network's numbers, shape ``(n, outputs + predictions)``; their dtype is that of the result.
        x
            Shape ``(n,)``, float64 and finite. Impossible values get minus infinity.
        """

    @abstractmethod
    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Return a draw for each row from two uniforms in [0, 1), shape ``(n, 2)``; float64, ``(n,)``."""

    @abstractmethod
    def cdf(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return P(value ≤ x), shape ``(n,)``; of labels, that of their codes."""

    @abstractmethod
    def quantile(self, raw: Tensor, level: float | Tensor) -> Tensor:
        """Return the smallest value whose `cdf` reaches a level, shape ``(n,)``, float64.

        Parameters
        ----------
        raw
            The network's numbers.
        level
            The same for all rows, or one for each, shape ``(n,)``.
        """

    @abstractmethod
    def expectation(self, raw: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the values, which acts element by element: shape ``(n,)``."""

    def probabilities(self, raw: Tensor) -> Tensor | None:
        """Return the probability of each label, shape ``(n, levels)``; None if there are no labels."""
        return None

    def best_guess(self, raw: Tensor) -> Tensor:
        """Return the mean, or the most probable label, shape ``(n,)``, float64."""
        return self.expectation(raw, lambda x: x)
