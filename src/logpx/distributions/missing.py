"""Missing cells, which are NaN."""

from __future__ import annotations

import math

from torch import Tensor

from logpx.errors import DataError

__all__ = ["check_all_finite", "check_finite_or_missing", "has_missing"]


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


def check_finite_or_missing(x: Tensor) -> None:
    """Refuse rows with an infinite cell.

    Parameters
    ----------
    x
        Shape ``(n, D)``; NaN is missing.

    Raises
    ------
    DataError
        Naming the first such cell: its row, counted from 1, and its column.
    """
    _refuse(x, x.isinf(), "correct the cell, or make it NaN if it is missing")


def check_all_finite(x: Tensor) -> None:
    """Refuse rows with a cell that is infinite or missing.

    Parameters
    ----------
    x
        Shape ``(*rows, D)``.

    Raises
    ------
    DataError
        Naming the first such cell: its row, counted from 1, and its column.
    """
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    _refuse(rows, ~rows.isfinite(), "correct the cell, or leave the row out")


def _refuse(x: Tensor, wrong: Tensor, fix: str) -> None:
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        raise DataError(
            f"the value {x[row, column].item()}, where a finite number was expected",
            row=row + 1,
            column=column,
            fix=fix,
        )
