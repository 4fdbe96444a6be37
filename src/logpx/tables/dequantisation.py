"""Noise over exactly one step of a grid, or over the cell of an atom, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["NO_ATOMS", "AtomCells", "dequantise", "quantise", "reflect"]

# The cell of an atom is so narrow that no other value lies in it, and holds a million floats or more.
_RELATIVE_WIDTH = 2.0**-32
# Around zero floats are dense enough for any width.
_LEAST_WIDTH = 2.0**-500


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


def reflect(x: Tensor, lower: float | None, upper: float | None) -> Tensor:
    """Return values with those that noise has carried to a bound or beyond it put as far inside it.

    Examples
    --------
    >>> reflect(torch.tensor([-0.25, 0.5]), 0.0, None)
    tensor([0.2500, 0.5000])
    """
    if lower is not None:
        x = lower + (x - lower).abs()
    if upper is not None:
        x = upper - (upper - x).abs()
    # Strictly inside, also after rounding.
    least = -math.inf if lower is None else math.nextafter(lower, math.inf)
    return x.clamp(least, math.inf if upper is None else math.nextafter(upper, -math.inf))


class AtomCells:
    """The narrow cells over which single values that hold mass are spread.

    Parameters
    ----------
    atoms : sequence of float
        The values, ascending.

    Attributes
    ----------
    atoms, left, right, width : Tensor
        The values, and the ends and the width of their cells, float64.

    Examples
    --------
    >>> cells = AtomCells([0.0, 100.0])
    >>> cells.index(torch.tensor([0.0, 1.0, 100.0], dtype=torch.float64)).tolist()
    [0, -1, 1]
    """

    def __init__(self, atoms: Sequence[float]) -> None:
        self.atoms = torch.tensor(list(atoms), dtype=torch.float64, device="cpu")
        half = (self.atoms.abs() * _RELATIVE_WIDTH).clamp(min=_LEAST_WIDTH) / 2
        self.left, self.right = self.atoms - half, self.atoms + half
        self.width = self.right - self.left

    @property
    def apart(self) -> bool:
        """Whether the atoms are ascending and no two cells meet."""
        return bool((self.left[1:] > self.right[:-1]).all())

    def index(self, x: Tensor) -> Tensor:
        """Return the number of the atom in whose cell each value lies; -1 for none."""
        left, right = self.left.to(x.device), self.right.to(x.device)
        below = torch.searchsorted(left, x.contiguous(), right=True) - 1
        return torch.where(x <= right[below.clamp(min=0)], below, -1)

    def spread(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return values with atoms spread over their cells by uniforms in [0, 1)."""
        at = self.index(x)
        left, right = (end.to(x.device)[at.clamp(min=0)] for end in (self.left, self.right))
        return torch.where(at >= 0, self.within(left + (right - left) * noise, at), x)

    def within(self, x: Tensor, at: Tensor) -> Tensor:
        """Return values in the cells with these numbers, moved off their ends, where rounding put them."""
        left, right = (end.to(x.device)[at.clamp(min=0)] for end in (self.left, self.right))
        return x.clamp(torch.nextafter(left, right), torch.nextafter(right, left))

    def collected(self, x: Tensor) -> Tensor:
        """Return values with everything in the cell of an atom moved to the atom."""
        at = self.index(x)
        return torch.where(at >= 0, self.atoms.to(x.device)[at.clamp(min=0)], x)

    def log_width(self, x: Tensor) -> Tensor:
        """Return the logarithm of the width of the cell that a value lies in; 0 for values in none."""
        at = self.index(x)
        width = self.width.to(x.device)[at.clamp(min=0)]
        return torch.where(at >= 0, width.log(), 0.0)


# One for all columns without atoms, which are most of a wide table.
NO_ATOMS = AtomCells([])
