"""The units that a column of numbers is modelled in: smooth, monotone, and with power-law tails outside."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["ColumnUnits"]

# Beyond it no logistic distribution of a column has mass that float64 could tell from 0.
_FARTHEST = 1e4
# Of the exponent on the way back.
_LARGEST = 300.0


class ColumnUnits(nn.Module):
    r"""A map u of the numbers between two bounds onto all numbers, in float64.

    Without bounds :math:`u = \operatorname{arsinh}((x - c) / s)`, with one :math:`u = \log((x - l) / s)`,
    with two the log-odds. A logistic distribution of u is then one of x whose tails are power laws.

    Parameters
    ----------
    lower, upper
        The bounds; None for none.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, lower: float | None, upper: float | None) -> None:
        super().__init__()
        self.lower, self.upper = lower, upper
        self.register_buffer("centre", torch.zeros((), dtype=torch.float64))
        self.register_buffer("spread", torch.ones((), dtype=torch.float64))

    def initialise(self, x: Tensor) -> None:
        """Set centre and spread from a column's values."""
        low, middle, high = torch.quantile(x, torch.tensor([0.1, 0.5, 0.9], dtype=x.dtype, device=x.device))
        reach = float(high - low) or float(x.max() - x.min()) or abs(float(middle)) or 1.0
        self.centre.fill_(float(middle))
        self.spread.fill_(reach / 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return u, within ±10,000; the bounds themselves have those values."""
        if self.lower is None and self.upper is None:
            return torch.asinh((x - self.centre) / self.spread)
        u = torch.zeros_like(x)
        if self.lower is not None:
            u = u + torch.log((x - self.lower).clamp_min(0.0))
        if self.upper is not None:
            u = u - torch.log((self.upper - x).clamp_min(0.0))
        return (u - self._shift).clamp(-_FARTHEST, _FARTHEST)

    @property
    def _shift(self) -> Tensor:
        """What makes u of one bound a number without a unit."""
        both = self.lower is not None and self.upper is not None
        log = torch.log(self.spread)
        return torch.zeros_like(log) if both else log if self.upper is None else -log

    def log_slope(self, x: Tensor) -> Tensor:
        """Return log(du/dx) at numbers inside the bounds."""
        if self.lower is None and self.upper is None:
            z = (x - self.centre) / self.spread
            return -torch.log(torch.hypot(z, torch.ones_like(z))) - torch.log(self.spread)
        slope = torch.zeros_like(x)
        if self.lower is not None:
            slope = slope - torch.log(x - self.lower)
        if self.upper is not None:
            slope = slope - torch.log(self.upper - x)
        if self.lower is not None and self.upper is not None:
            slope = slope + math.log(self.upper - self.lower)
        return slope

    def inverse(self, u: Tensor) -> Tensor:
        """Return x."""
        near = u.clamp(-_LARGEST, _LARGEST)
        if self.lower is not None and self.upper is not None:
            width = self.upper - self.lower
            # From the nearer end, so that numbers next to either keep their resolution.
            return torch.where(
                u < 0, self.lower + width * torch.sigmoid(u), self.upper - width * torch.sigmoid(-u)
            )
        if self.lower is not None:
            return self.lower + self.spread * torch.exp(near)
        if self.upper is not None:
            return self.upper - self.spread * torch.exp(-near)
        return self.centre + self.spread * torch.sinh(near)
