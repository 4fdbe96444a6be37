"""The scale of a column bounded on one side."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor

from logpx.tables.scales.sample import Sample
from logpx.tables.scales.scale import LIMIT, Scale

__all__ = ["Log"]

_FLOAT = torch.finfo(torch.float64)


class Log(Scale):
    """Map x to the logarithm of its distance from a bound: log(x - a), or -log(b - x) if mirrored.

    Parameters
    ----------
    mirrored : bool
        Whether the bound is an upper bound.

    Examples
    --------
    >>> scale = Log.fit([1.0, 10.0, 100.0], bound=0.0)
    >>> y, log_derivative = scale(torch.tensor([10.0, -1.0], dtype=torch.float64))
    >>> bool(y[0].abs() < 1e-12), log_derivative[1].item()
    (True, -inf)
    """

    bound: Tensor

    def __init__(self, mirrored: bool = False) -> None:
        super().__init__()
        self.side = -1.0 if mirrored else 1.0
        self._number("bound", 0.0)

    @classmethod
    def fit(
        cls, x: Any, weights: Any = None, *, bound: float, mirrored: bool = False, limit: float = LIMIT
    ) -> Self:
        """Return the scale of training values that all lie strictly on one side of ``bound``.

        Raises
        ------
        DataError
            If a value lies on or beyond the bound, or fewer than two values are distinct.
        """
        scale = cls(mirrored)
        scale.bound.fill_(bound)
        return scale._standardise(Sample.of(x, weights), limit)

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        distance = (x - self.bound) * self.side
        logarithm = distance.clamp(_FLOAT.tiny, _FLOAT.max).log()
        return logarithm * self.side, torch.where(distance > 0, -logarithm, -math.inf)

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        logarithm = value * self.side
        distance = logarithm.exp().clamp(max=_FLOAT.max)
        x = (self.bound + self.side * distance).clamp(_FLOAT.min, _FLOAT.max)
        innermost = torch.nextafter(self.bound, self.bound + self.side * math.inf)
        return (torch.minimum if self.side < 0 else torch.maximum)(x, innermost), logarithm
