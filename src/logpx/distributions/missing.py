"""Missing cells, which are NaN."""

from __future__ import annotations

from torch import Tensor

from logpx.errors import DataError

__all__ = ["check_finite_or_missing", "has_missing"]


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
    infinite = x.isinf()
    if bool(infinite.any()):
        row, column = infinite.nonzero()[0].tolist()
        raise DataError(
            f"the value {x[row, column].item()}, where a finite number was expected",
            row=row + 1,
            column=column,
            fix="correct the cell, or make it NaN if it is missing",
        )
