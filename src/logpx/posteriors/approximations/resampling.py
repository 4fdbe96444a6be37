"""Equally weighted particles from weighted ones."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["systematic"]


def systematic(shares: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the numbers of ``count`` particles, each as often as its share of the weights says.

    References
    ----------
    Kitagawa 1996, Monte Carlo filter and smoother for non-Gaussian nonlinear state space models.
    """
    offset = torch.rand(1, generator=generator, dtype=torch.float64)
    places = (torch.arange(count, dtype=torch.float64) + offset) / count
    return torch.searchsorted(shares.cumsum(0), places).clamp_max(len(shares) - 1)
