"""The codes of a categorical column, which stay as they are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.tables.scales.scale import Scale

__all__ = ["Codes"]


class Codes(Scale):
    """The identity: a code has neither a unit nor an order.

    Examples
    --------
    >>> Codes()(torch.tensor([2.0], dtype=torch.float64))
    (tensor([2.], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """

    def __init__(self) -> None:
        super().__init__()
        self.limit.fill_(math.inf)

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, torch.zeros_like(x)

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value, torch.zeros_like(value)
