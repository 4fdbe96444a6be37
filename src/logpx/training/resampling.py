"""Rows repeated in proportion to their weights, for what cannot weigh them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["repeated_places"]


def repeated_places(weights: Tensor, count: int) -> Tensor:
    """Return places of rows, each in proportion to its weight, by systematic resampling without randomness.

    Parameters
    ----------
    weights
        At least 0, shape ``(n,)``, not all 0.
    count
        How many places to return. If it is the sum of whole weights, each row is there as often as its
        weight says.

    Examples
    --------
    >>> repeated_places(torch.tensor([2.0, 1.0, 0.0, 3.0]), 6).tolist()
    [0, 0, 1, 3, 3, 3]
    """
    edges = weights.double().cumsum(0)
    places = (torch.arange(count, dtype=torch.float64) + 0.5) * (float(edges[-1]) / count)
    return torch.searchsorted(edges, places).clamp_max(len(weights) - 1)
