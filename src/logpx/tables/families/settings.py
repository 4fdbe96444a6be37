"""What can be searched for of a family that is trained by gradient descent: sizes and learning rates."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LEARNING_RATE", "Setting", "Value"]

Value = int | float


@dataclass(frozen=True)
class Setting:
    """A number that a search chooses.

    Attributes
    ----------
    low, high : int or float
        The least and the largest value; whole numbers if both are.
    logarithmic : bool
        Whether ratios matter, rather than differences.
    """

    low: Value
    high: Value
    logarithmic: bool = False


LEARNING_RATE = Setting(5e-4, 2e-2, logarithmic=True)
