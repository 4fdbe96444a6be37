"""Means over rows with their standard errors, and the comparison with baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

__all__ = ["Comparison", "Evaluation", "RunningMean"]


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
        """Take in a batch of finite or infinite numbers, shape ``(n,)``."""
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


@dataclass(frozen=True)
class Comparison:
    """How a baseline does on the same rows.

    Attributes
    ----------
    mean, standard_error : float
        Mean log p per row of the baseline, in nats.
    gain, gain_standard_error : float
        How much better the model is per row, and the standard error of the paired difference.
    """

    mean: float
    standard_error: float
    gain: float
    gain_standard_error: float


@dataclass(frozen=True)
class Evaluation:
    """The held-out quality of a table model.

    Attributes
    ----------
    mean, standard_error : float
        Mean log p per row in nats and in table units, exact or a lower bound as `kind` says.
    kind : str
        ``exact`` or ``lower bound``.
    rows : int
        The number of rows.
    outside : int
        Rows outside the model's support, whose log p is minus infinity; they are part of the mean.
    baselines : mapping of str to Comparison
        The same rows under simple models.
    """

    mean: float
    standard_error: float
    kind: str
    rows: int
    outside: int
    baselines: Mapping[str, Comparison]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return asdict(self)
