"""Tensors at the start of modules, made by what needs no further imports on the meta device.

There `torch.linspace`, `torch.arange` and `torch.eye` first import hundreds of modules, for a second or two,
and every model that is saved or loaded is first built on it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["evenly_spaced", "identity_matrix"]


def evenly_spaced(first: float, last: float, count: int) -> Tensor:
    """Return evenly spaced numbers, float64.

    Examples
    --------
    >>> evenly_spaced(0.0, 1.0, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    return torch.tensor(np.linspace(first, last, count), dtype=torch.float64)


def identity_matrix(size: int) -> Tensor:
    """Return the identity matrix, shape ``(size, size)``.

    Examples
    --------
    >>> identity_matrix(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return torch.zeros(size, size).fill_diagonal_(1.0)
