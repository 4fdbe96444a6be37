"""Columns to which no density can be fitted: without a value, beyond what can be squared, or constant."""

from __future__ import annotations

from torch import Tensor

from logpx.errors import DataError

__all__ = ["refuse_constant", "refuse_empty", "refuse_lost"]


def refuse_empty(empty: Tensor) -> None:
    """Refuse columns without any value, of which one true value each says so.

    Raises
    ------
    DataError
        Naming the first.
    """
    _refuse(empty, "every cell is missing", "leave the column out")


def refuse_lost(lost: Tensor) -> None:
    """Refuse columns whose moments are not finite, likewise.

    Raises
    ------
    DataError
        Naming the first.
    """
    message = "a value is not finite, or too large to be squared"
    _refuse(lost, message, "leave such rows out, or change the column's unit")


def refuse_constant(constant: Tensor) -> None:
    """Refuse columns that never vary, likewise.

    Raises
    ------
    DataError
        Naming the first.
    """
    _refuse(constant, "every row has the same value, so that no density exists on it", "leave the column out")


def _refuse(wrong: Tensor, message: str, fix: str) -> None:
    if bool(wrong.any()):
        raise DataError(message, column=int(wrong.nonzero()[0].item()), fix=fix)
