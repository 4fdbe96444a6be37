"""Noise over exactly one step of a grid, and the way back; row i's noise depends only on the seed and i."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from logpx.distributions.seeding import checked_seed
from logpx.errors import UsageError

__all__ = ["dequantise", "quantise", "uniforms"]

_BLOCK = 4096
_WORD = 2**64


def uniforms(seed: int, first_row: int, rows: int, columns: int, draw: int = 0) -> Tensor:
    """Return uniforms in [0, 1) for consecutive rows of a table, the same however the rows are batched.

    Parameters
    ----------
    seed : int
        In [0, 2^64).
    first_row, rows : int
        The rows, counted from 0 in the whole table.
    columns : int
        Numbers per row.
    draw : int
        Which of several independent draws for the same rows.

    Returns
    -------
    Tensor
        float64 of shape (rows, columns).

    Raises
    ------
    UsageError
        If an argument is out of range.

    Examples
    --------
    >>> whole = uniforms(0, 0, 10_000, 2)
    >>> torch.equal(uniforms(0, 4000, 200, 2), whole[4000:4200])
    True
    """
    if not 0 <= checked_seed(seed) < _WORD or not 0 <= draw < _WORD:
        raise UsageError(f"seed {seed} or draw {draw} is outside [0, 2^64)", fix="give a non-negative seed")
    if first_row < 0 or rows < 0 or columns < 0:
        raise UsageError("rows and columns are counted from 0", fix="give non-negative counts")
    blocks = range(first_row // _BLOCK, (first_row + rows + _BLOCK - 1) // _BLOCK if rows else 0)
    noise = [_block(seed, block, columns, draw) for block in blocks]
    if not noise:
        return torch.empty(0, columns, dtype=torch.float64)
    skipped = first_row - blocks[0] * _BLOCK
    return torch.from_numpy(np.concatenate(noise)[skipped : skipped + rows])


def _block(seed: int, block: int, columns: int, draw: int) -> NDArray[np.float64]:
    # The lowest counter words run within the block; the higher ones name the block and the draw.
    bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=[0, 0, block, draw])
    return np.random.Generator(bits).random((_BLOCK, columns))


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

    A step that is one over a whole number (0.01, say) gives the very floats that the decimal numbers parse
    to.

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
