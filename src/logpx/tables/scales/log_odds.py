"""The scale of a column bounded on both sides."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor

from logpx.tables.scales.sample import Sample
from logpx.tables.scales.scale import LIMIT, Scale

__all__ = ["LogOdds"]

_FLOAT = torch.finfo(torch.float64)


class LogOdds(Scale):
    """Map x to log((x - lower) / (upper - x)).

    Examples
    --------
    >>> scale = LogOdds.fit([0.2, 0.5, 0.8], lower=0.0, upper=1.0)
    >>> y, log_derivative = scale(torch.tensor([0.5, 1.0], dtype=torch.float64))
    >>> bool(y[0].abs() < 1e-12), log_derivative[1].item()
    (True, -inf)
    """

    lower: Tensor
    upper: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._number("lower", 0.0)
        self._number("upper", 1.0)

    @classmethod
    def fit(cls, x: Any, weights: Any = None, *, lower: float, upper: float, limit: float = LIMIT) -> Self:
        """Return the scale of training values that all lie strictly between the bounds.

        Raises
        ------
        DataError
            If a value lies on or beyond a bound, or fewer than two values are distinct.
        """
        scale = cls()
        scale.lower.fill_(lower)
        scale.upper.fill_(upper)
        return scale._standardise(Sample.of(x, weights), limit)

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        below = x - self.lower
        above = self.upper - x
        log_below = below.clamp(_FLOAT.tiny, _FLOAT.max).log()
        log_above = above.clamp(_FLOAT.tiny, _FLOAT.max).log()
        log_slope = (self.upper - self.lower).log() - log_below - log_above
        return log_below - log_above, torch.where((below > 0) & (above > 0), log_slope, -math.inf)

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        width = self.upper - self.lower
        # Measured from the nearer bound: the distance to the farther one would be rounded away.
        distance = width * torch.sigmoid(-value.abs())
        x = torch.where(value < 0, self.lower + distance, self.upper - distance)
        innermost = torch.nextafter(self.lower, self.upper), torch.nextafter(self.upper, self.lower)
        log_slope = width.log() - value.abs() - 2 * torch.log1p(torch.exp(-value.abs()))
        return torch.clamp(x, *innermost), log_slope
