"""Mean and standard error of numbers that arrive in batches."""

from __future__ import annotations

import math

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
        if not n:
            return
        mean = float(values.mean())
        squares = float((values - mean).square().sum())
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
