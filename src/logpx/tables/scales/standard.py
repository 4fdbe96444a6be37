"""The linear scale: only centre and spread."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from logpx.tables.scales.sample import Sample
from logpx.tables.scales.scale import LIMIT, Scale

__all__ = ["Standard"]


class Standard(Scale):
    """Subtract the mean and divide by the standard deviation.

    Examples
    --------
    >>> scale = Standard.fit([1.0, 2.0, 3.0])
    >>> y, log_derivative = scale(torch.tensor([2.0, 3.0], dtype=torch.float64))
    >>> [round(number, 3) for number in y.tolist()]
    [0.0, 1.225]
    """

    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def fit(cls, x: Any, weights: Any = None, *, limit: float = LIMIT) -> Self:
        """Return the scale of some training values.

        Parameters
        ----------
        x : array of shape (n,)
            Training values, or a `Sample` of them.
        weights : array of shape (n,), optional
            The weight of each row.
        limit : float
            Standard deviations beyond which power-law tails begin; infinity keeps the map linear everywhere.

        Raises
        ------
        DataError
            If fewer than two values are distinct, or one is not finite.
        """
        return cls()._standardise(Sample.of(x, weights), limit)

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, torch.zeros_like(x)

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return value, torch.zeros_like(value)
