"""The contract of a likelihood: from a decoder's numbers to p(x given z), cell by cell."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions.missing import has_missing
from logpx.errors import DataError, UsageError
from logpx.transforms.base import as_event_shape

__all__ = ["CellDistribution", "Likelihood", "WrappedCells"]


class CellDistribution(ABC):
    """The result of a likelihood: cells that are independent given z, used like a distribution of torch.

    A missing cell (NaN) is integrated out: it adds nothing to log_prob.

    Parameters
    ----------
    event_shape
        The shape of x.
    """

    has_rsample: ClassVar[bool] = False

    def __init__(self, event_shape: Sequence[int]) -> None:
        self.event_shape = torch.Size(event_shape)

    @abstractmethod
    def log_prob_of_cells(self, x: Tensor) -> Tensor:
        """Return the log-probability or log-density of every cell in nats; 0 for missing cells."""

    @abstractmethod
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw x, shape ``(*sample_shape, *batch, *event_shape)``."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The mean of x, shape ``(*batch, *event_shape)``; for labels, the most probable code."""

    def best_guess(self, weights: Tensor) -> Tensor:
        """Return the best guess of every cell, with the first dimension of the batch as a mixture.

        Parameters
        ----------
        weights
            Shape ``(K, n)`` for a batch of that shape; they sum to 1 over K.

        Returns
        -------
        Tensor
            Means, or the most probable code for labels, as codes have no mean. Shape ``(n, *event_shape)``.
        """
        return torch.einsum("kn,kn...->n...", weights, self.mean)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x given z) in nats, shape ``(*batch,)``: the sum over the observed cells."""
        cells = self.log_prob_of_cells(x)
        return cells.sum(tuple(range(-len(self.event_shape), 0)))


class WrappedCells(CellDistribution):
    """The cells of one of torch's distributions.

    Parameters
    ----------
    event_shape
        The shape of x.
    base
        The distribution, with one batch element per cell.
    """

    def __init__(self, event_shape: Sequence[int], base: Any) -> None:
        super().__init__(event_shape)
        self.base = base

    def log_prob_of_cells(self, x: Tensor) -> Tensor:
        """Return 0 for missing cells."""
        if not has_missing(x):
            return self.log_prob_of_all(x)
        missing = x.isnan()
        there = torch.where(missing, torch.zeros_like(x), x)
        return torch.where(missing, 0.0, self.log_prob_of_all(there))

    def log_prob_of_all(self, x: Tensor) -> Tensor:
        """Return the log-probability or log-density of every cell, if none is missing."""
        found: Tensor = self.base.log_prob(x)
        return found

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw x."""
        drawn: Tensor = self.base.sample(torch.Size(sample_shape))
        return drawn

    @property
    def mean(self) -> Tensor:
        """The mean of x."""
        centre: Tensor = self.base.mean
        return centre


class Likelihood(Configured, nn.Module, ABC):
    """A family of distributions of x, with parameters from a decoder's numbers.

    Attributes
    ----------
    event_shape : tuple of int
        The shape of x.
    numbers : int
        How many numbers the decoder must return per value of x: the first for all values, then the second.
    """

    numbers: int

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)

    def initialise(self, centre: Tensor, spread: Tensor) -> None:
        """Set the units of the decoder's numbers from the means and deviations of training values.

        Parameters
        ----------
        centre, spread
            Shape ``event_shape``.
        """

    @property
    def outputs(self) -> int:
        """How many numbers the decoder must return in total."""
        return self.numbers * math.prod(self.event_shape)

    def forward(self, raw: Tensor) -> CellDistribution:
        """Return p(x given z).

        Parameters
        ----------
        raw
            The decoder's output for z, shape ``(*batch, outputs)``, with any finite values.

        Raises
        ------
        UsageError
            If the shape is wrong.
        """
        if not raw.dim() or raw.shape[-1] != self.outputs:
            raise UsageError(
                f"the decoder returns {raw.shape[-1] if raw.dim() else 'one'} numbers, where "
                f"{type(self).__name__} takes {self.outputs}",
                fix=f"let the last layer of the decoder return {self.outputs} numbers per row",
            )
        parts = raw.reshape(*raw.shape[:-1], self.numbers, *self.event_shape)
        return self.cells(*parts.unbind(-1 - len(self.event_shape)))

    def cells(self, *parameters: Tensor) -> CellDistribution:
        """Return the cells for `numbers` parameters, each of shape ``(*batch, *event_shape)``."""
        return WrappedCells(self.event_shape, self.base(*parameters))

    def base(self, *parameters: Tensor) -> Any:
        """Return a distribution of torch with one batch element per cell."""
        raise NotImplementedError

    def possible(self, x: Tensor) -> Tensor:
        """Return which cells have possible values, missing ones included."""
        return x.isfinite() | x.isnan()

    @property
    def expected(self) -> str:
        """The possible values, in words."""
        return "a finite number"

    def check(self, x: Tensor) -> None:
        """Refuse rows with a value that the likelihood cannot produce.

        Raises
        ------
        DataError
            Naming the first such cell, with its row counted from 1, and what was expected.
        """
        wrong = ~self.possible(x).flatten(1)
        if bool(wrong.any()):
            row, column = (int(place) for place in wrong.nonzero()[0])
            value = float(x.flatten(1)[row, column])
            raise DataError(
                f"the value {value:g}, where {type(self).__name__} expects {self.expected}",
                row=row + 1,
                column=column,
                fix="correct the value, or take another likelihood",
            )
