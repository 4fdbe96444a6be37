"""The encoder's units."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["EncoderUnits"]

_LEAST_SCALE = 1e-6
_FURTHEST = 15.0


class EncoderUnits(nn.Module):
    """Standardises values, cell by cell, by the mean and deviation of training rows.

    A missing cell (NaN) looks like the mean, and outliers are clamped so that none drives the whole encoder.

    Parameters
    ----------
    event_shape
        The shape of x.

    Examples
    --------
    >>> EncoderUnits(2)(torch.tensor([[1.0, float("nan")]]))
    tensor([[1., 0.]])
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(event_shape))
        self.register_buffer("spread", torch.ones(event_shape))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set means and deviations from rows, shape ``(n, *event_shape)``; a constant cell keeps its unit."""
        there = ~x.isnan()
        count = there.sum(0).clamp_min(1)
        centre = x.nan_to_num(nan=0.0).sum(0) / count
        spread = (torch.where(there, x - centre, 0.0).square().sum(0) / count).sqrt()
        self.centre.copy_(centre)
        self.spread.copy_(torch.where(spread > _LEAST_SCALE * centre.abs(), spread, 1.0).clamp_min(1e-30))

    def forward(self, x: Tensor) -> Tensor:
        """Return rows in these units, as a new tensor."""
        units = (x - self.centre).div_(self.spread)
        return units.nan_to_num_(nan=0.0).clamp_(-_FURTHEST, _FURTHEST)
