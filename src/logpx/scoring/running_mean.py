"""Mean and standard error of numbers that arrive in batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

from torch import Tensor

__all__ = ["RunningMean"]


class RunningMean:
    """Mean and standard error of numbers that arrive in batches.

    Examples
    --------
    >>> import torch
    >>> mean = RunningMean()
    >>> mean.add(torch.tensor([1.0, 3.0]))
    >>> mean.add(torch.tensor([5.0]))
    >>> mean.value, round(mean.standard_error, 3)
    (3.0, 1.155)
    """

    def __init__(self) -> None:
        self.count = 0
        self.value = 0.0
        self._squares = 0.0

    def add(self, values: Tensor) -> None:
        """Add a batch of finite or infinite numbers, shape ``(n,)``."""
        n = len(values)
        if n:
            mean = float(values.mean())
            self._add(n, mean, float((values - mean).square().sum()))

    def merge(self, other: RunningMean) -> None:
        """Add the numbers that another mean is of."""
        if other.count:
            self._add(*other.state)

    @property
    def state(self) -> tuple[int, float, float]:
        """The number of values, their mean and the sum of squares of the differences from it."""
        return self.count, self.value, self._squares

    @classmethod
    def of_state(cls, state: Sequence[float]) -> Self:
        """Return the mean whose `state` this was."""
        mean = cls()
        mean.count, mean.value, mean._squares = int(state[0]), state[1], state[2]
        return mean

    def _add(self, n: int, mean: float, squares: float) -> None:
        step = mean - self.value
        total = self.count + n
        self._squares += squares + step * step * self.count * n / total
        self.value = self.value + step * n / total if math.isfinite(step) else mean + self.value
        self.count = total

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; infinite for fewer than two rows, NaN where the mean is not finite."""
        if self.count < 2:
            return math.inf
        return math.sqrt(self._squares / (self.count - 1) / self.count)
