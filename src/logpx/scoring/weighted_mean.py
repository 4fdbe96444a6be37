"""Weighted mean and standard error of numbers that arrive in batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["WeightedMean"]


class WeightedMean:
    r"""Weighted mean of numbers that arrive in batches, and its standard error.

    With shares :math:`s_i = w_i / \sum_j w_j` of n numbers, mean m and squared error
    :math:`\frac{n}{n - 1} \sum_i s_i^2 (x_i - m)^2`: the scale of the weights does not matter, and with equal
    ones these are the usual mean and standard error.

    Attributes
    ----------
    count : int
        The number n of values.
    value : float
        Their mean.

    References
    ----------
    Owen 2013, Monte Carlo theory, methods and examples, section 9.2 (ratio estimates).
    https://artowen.su.domains/mc/

    Examples
    --------
    >>> mean = WeightedMean()
    >>> mean.add(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0]))
    >>> mean.add(torch.tensor([5.0]), torch.tensor([0.0]))
    >>> mean.value, mean.count
    (2.5, 2)
    """

    def __init__(self) -> None:
        self.count = 0
        self.value = 0.0
        self._weight = 0.0
        # Sums of w², of w² (x - m) and of w² (x - m)², with the mean m so far.
        self._sums = (0.0, 0.0, 0.0)

    def add(self, values: Tensor, weights: Tensor | None = None) -> None:
        """Add a batch of finite or infinite numbers, shape ``(n,)``; by default each of weight 1.

        A number of weight 0 does not count.
        """
        values = values.double()
        weight = torch.ones_like(values) if weights is None else weights.to(values)
        if weights is not None and not bool(weight.all()):
            values, weight = values[weight > 0.0], weight[weight > 0.0]
        if not len(values):
            return
        own = float(weight.sum())
        mean = float((weight / own * values).sum())
        away, squares = values - mean, weight.square()
        sums = (float(squares.sum()), float((squares * away).sum()), float((squares * away.square()).sum()))
        total = self._weight + own
        step = mean - self.value
        if self.count and math.isfinite(step):
            middle = self.value + step * own / total
            parts = zip(_moved(self._sums, self.value - middle), _moved(sums, mean - middle), strict=True)
            self._sums = tuple(one + other for one, other in parts)  # type: ignore[assignment]
        else:
            middle = mean + self.value if self.count else mean
            self._sums = sums if not self.count else (math.nan,) * 3
        self.value, self._weight, self.count = middle, total, self.count + len(values)

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; infinite for fewer than two rows, NaN where the mean is not finite."""
        if self.count < 2:
            return math.inf
        squared = self._sums[2] / self._weight**2 * self.count / (self.count - 1)
        return math.nan if math.isnan(squared) else math.sqrt(max(squared, 0.0))


def _moved(sums: tuple[float, float, float], step: float) -> tuple[float, float, float]:
    """Return the sums about another middle, which is less by a step."""
    squares, first, second = sums
    return squares, first + step * squares, second + 2.0 * step * first + step * step * squares
