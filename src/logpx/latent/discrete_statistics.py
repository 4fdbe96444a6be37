"""Sufficient statistics of components that are not normal, as values: they add up, and can be scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["DiscreteStatistics", "ProductStatistics"]


@dataclass(frozen=True)
class DiscreteStatistics:
    """Responsibility-weighted sums of the features of rows, in float64.

    Parameters
    ----------
    sums
        Shape ``(K, F)``: what each of F features adds up to in each of K components. Which features there
        are, the components say; cells that are missing have added nothing.

    Examples
    --------
    >>> import torch
    >>> once = DiscreteStatistics(torch.tensor([[1.0, 3.0]]))
    >>> (once + once * 0.5).sums
    tensor([[1.5000, 4.5000]])
    """

    sums: Tensor

    def __add__(self, other: DiscreteStatistics) -> DiscreteStatistics:
        """Merge with the statistics of other rows."""
        return DiscreteStatistics(self.sums + other.sums)

    def __mul__(self, factor: float) -> DiscreteStatistics:
        """Scale the weights of all rows."""
        return DiscreteStatistics(self.sums * factor)


@dataclass(frozen=True)
class ProductStatistics:
    """The statistics of components side by side.

    Parameters
    ----------
    parts
        Those of each, in their order.

    Examples
    --------
    >>> import torch
    >>> once = DiscreteStatistics(torch.tensor([[1.0, 3.0]]))
    >>> both = ProductStatistics((once, once * 2.0))
    >>> (both + both).parts[1].sums
    tensor([[ 4., 12.]])
    """

    parts: tuple[Any, ...]

    def __add__(self, other: ProductStatistics) -> ProductStatistics:
        """Merge with the statistics of other rows, part by part."""
        return ProductStatistics(
            tuple(own + others for own, others in zip(self.parts, other.parts, strict=True))
        )

    def __mul__(self, factor: float) -> ProductStatistics:
        """Scale the weights of all rows."""
        return ProductStatistics(tuple(part * factor for part in self.parts))
