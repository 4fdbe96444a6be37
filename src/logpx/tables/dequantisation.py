"""Noise over exactly one step of a grid, and the way back."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dequantise", "quantise"]


def dequantise(x: Tensor, step: Tensor | float, noise: Tensor) -> Tensor:
    """Spread values on a grid over exactly one step each: ``x + step * (noise - 1/2)``.

    Parameters
    ----------
    x : Tensor of shape (n, d)
        Values on a grid, float64.
    step : Tensor of shape (d,) or float
        The step of each column's grid; 0 leaves a column as it is.
    noise : Tensor of shape (n, d)
        Uniforms in [0, 1).

    Examples
    --------
    >>> dequantise(torch.tensor([[3.0]]), 1.0, torch.tensor([[0.25]])).item()
    2.75
    """
    return x + step * (noise - 0.5)


def quantise(x: Tensor, step: float, offset: float = 0.0) -> Tensor:
    """Return the point of the grid ``offset + k * step`` nearest to each value.

    If the step is one over a whole number (say 0.01), the results are exactly the floats that the decimal
    numbers parse to.

    Examples
    --------
    >>> quantise(torch.tensor([0.0712], dtype=torch.float64), 0.01).item()
    0.07
    """
    cells = torch.round((x - offset) / step)
    inverse = round(1 / step) if 1e-15 < step < 1 else 0
    if inverse and abs(inverse * step - 1) < 1e-12:
        whole = round(offset * inverse)
        if abs(offset * inverse - whole) < 1e-6:
            return (cells + whole) / inverse
    return offset + cells * step
