"""Missing cells, which are NaN."""

from __future__ import annotations

from torch import Tensor

__all__ = ["has_missing"]


def has_missing(x: Tensor) -> bool:
    """Return whether any number is NaN, faster than by looking at each.

    Infinities of both signs together also count: their sum is NaN.

    Examples
    --------
    >>> import torch
    >>> has_missing(torch.tensor([1.0, float("nan")]))
    True
    """
    return bool(x.sum().isnan())
