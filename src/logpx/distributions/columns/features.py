"""What a network sees of a number: how far it is through each piece of its range, and its periods."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["HARMONICS", "harmonics", "piecewise_linear", "quantiles"]

HARMONICS = 3


def quantiles(x: Tensor, count: int) -> Tensor:
    """Return equally spaced quantiles of values, the extremes included, shape ``(count,)``.

    Examples
    --------
    >>> quantiles(torch.arange(101.0), 3)
    tensor([  0.,  50., 100.])
    """
    order = torch.sort(x)[0]
    places = torch.linspace(0, len(x) - 1, count, dtype=torch.float64, device=x.device).round().long()
    return order[places]


def piecewise_linear(x: Tensor, knots: Tensor) -> Tensor:
    """Return, for each piece between two knots, how much of it lies below a value, from 0 to 1.

    Parameters
    ----------
    x
        Shape ``(n,)``.
    knots
        Ascending, possibly equal, shape ``(k,)``.

    Returns
    -------
    Tensor
        Shape ``(n, k - 1)``.

    References
    ----------
    Gorishniy, Rubachev and Babenko 2022, On embeddings for numerical features in tabular deep learning.
    https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> piecewise_linear(torch.tensor([1.5]), torch.tensor([0.0, 1.0, 2.0, 3.0]))
    tensor([[1.0000, 0.5000, 0.0000]])
    """
    left, width = knots[:-1], knots.diff().clamp_min(1e-300)
    return ((x[:, None] - left) / width).clamp(0.0, 1.0)


def harmonics(x: Tensor, periods: Sequence[float]) -> Tensor:
    """Return sines and cosines of the first harmonics of each period, shape ``(n, 6 periods)``."""
    waves = [
        wave(2.0 * math.pi * number * x / period)
        for period in periods
        for number in range(1, HARMONICS + 1)
        for wave in (torch.sin, torch.cos)
    ]
    return torch.stack(waves, 1) if waves else x.new_zeros(len(x), 0)
