"""The distribution of one column of each row, from the numbers of a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from logpx.distributions.columns import ColumnDistribution

__all__ = ["ColumnMarginal"]

# Of the intermediate results.
_NUMBERS_AT_ONCE = 2_000_000


class ColumnMarginal:
    """The distribution of one column of each row, given the cells of others that are there.

    Parameters
    ----------
    column
        The distribution of the column.
    raw
        The network's numbers, shape ``(n, outputs)``.

    """

    def __init__(self, column: ColumnDistribution, raw: Tensor) -> None:
        self._column, self._raw = column, raw

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p of a value for each row, shape ``(n,)``."""
        return self._column.log_prob(self._raw, x)

    def sample(self, uniform: Tensor) -> Tensor:
        """Return a draw for each row from two uniforms, shape ``(n, 2)``: shape ``(n,)``, float64."""
        return self._column.sample(self._raw, uniform)

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of values up to some, both of shape ``(n, m)``."""
        repeated = self._raw.repeat_interleave(x.shape[1], 0)
        return _in_parts(self._column.cdf, repeated, x.flatten()).view_as(x)

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the quantiles at levels of shape ``(q,)``: shape ``(n, q)``."""
        repeated = self._raw.repeat_interleave(len(levels), 0)
        each = levels.to(self._raw).repeat(len(self._raw))
        return _in_parts(self._column.quantile, repeated, each).view(-1, len(levels))

    def bracket(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return values that the quantiles at levels lie between: the quantiles themselves, twice."""
        quantiles = self.quantiles(levels)
        return quantiles, quantiles

    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the values, without far tails: shape ``(n,)``."""
        return self._column.expectation(self._raw, function)

    @property
    def mean(self) -> Tensor:
        """The mean of numbers, without far tails; the most probable code of labels: shape ``(n,)``."""
        return self._column.best_guess(self._raw)

    @property
    def probabilities(self) -> Tensor | None:
        """The probability of each label, shape ``(n, levels)``; None for numbers."""
        return self._column.probabilities(self._raw)


def _in_parts(function: Callable[[Tensor, Tensor], Tensor], raw: Tensor, each: Tensor) -> Tensor:
    """Return a function of rows of numbers and a value for each, of not too many rows at once."""
    at_once = max(1, _NUMBERS_AT_ONCE // max(1, 8 * raw.shape[1]))
    pairs = zip(torch.split(raw, at_once), torch.split(each, at_once), strict=True)
    return torch.cat([each.new_zeros(0, dtype=torch.float64), *(function(*pair) for pair in pairs)])
