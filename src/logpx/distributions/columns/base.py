"""The contract of one column: p(cell given a network's numbers), and what the network sees of a cell."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from logpx.configuration import Configured

__all__ = ["ColumnDistribution", "inverse_by_bisection"]

_HALVINGS = 80
_QUANTILES = 64


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
    has_order : bool
        Whether values have an order, and so a mean and quantiles.
    """

    inputs: int
    outputs: int
    has_order: bool = True

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
            The network's numbers, shape ``(n, outputs)``; their dtype is that of the result.
        x
            Shape ``(n,)``, float64 and finite. Impossible values get minus infinity.
        """

    @abstractmethod
    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Return a draw for each row from two uniforms in [0, 1), shape ``(n, 2)``; float64, ``(n,)``."""

    @abstractmethod
    def cdf(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return P(value ≤ x), shape ``(n,)``; NaN for values without an order."""

    @abstractmethod
    def quantile(self, raw: Tensor, level: float) -> Tensor:
        """Return the smallest value whose `cdf` reaches a level, shape ``(n,)``, float64."""

    def mean(self, raw: Tensor) -> Tensor:
        """Return the mean between the extreme 1/128ths, which heavy tails cannot carry off: ``(n,)``."""
        levels = [(place + 0.5) / _QUANTILES for place in range(_QUANTILES)]
        return torch.stack([self.quantile(raw, level) for level in levels]).mean(0)

    def probabilities(self, raw: Tensor) -> Tensor | None:
        """Return the probability of each label, shape ``(n, levels)``; None if there are no labels."""
        return None

    def best_guess(self, raw: Tensor) -> Tensor:
        """Return the mean, or the most probable label, shape ``(n,)``, float64."""
        return self.mean(raw)


def inverse_by_bisection(cdf: object, low: Tensor, high: Tensor, level: Tensor) -> Tensor:
    """Return where an increasing function reaches a level, between two ends.

    Parameters
    ----------
    cdf
        A function of values of shape ``(n,)``.
    low, high, level
        Shape ``(n,)``, float64.

    Examples
    --------
    >>> zero, one = torch.zeros(1), torch.ones(1)
    >>> inverse_by_bisection(lambda x: x * x, zero, one, torch.tensor([0.25]))
    tensor([0.5000])
    """
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        below = cdf(middle) < level  # type: ignore[operator]
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high
