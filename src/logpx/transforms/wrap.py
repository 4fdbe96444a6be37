"""A map of angles into one period."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_number, check_places
from logpx.transforms.base import Transform, as_features
from logpx.transforms.supports import by_feature
from logpx.transforms.univariate.splines import wrap

__all__ = ["Wrap"]


class Wrap(Transform):
    """Take whole periods off the features that are angles, so that they lie in [-period / 2, period / 2).

    Values a period apart are one point of a circle; there the map is invertible, and its ladj is 0.

    Parameters
    ----------
    features
        The number of features.
    circular
        Which of them are angles.
    period
        The length of the circle.

    Raises
    ------
    UsageError
        If `circular` names anything but features, or the period is not positive and finite.

    Examples
    --------
    >>> Wrap(2, circular=(1,), period=24.0).forward(torch.tensor([[30.0, 30.0]]))[0]
    tensor([[30.,  6.]])
    """

    is_circular: Tensor

    def __init__(self, features: int, circular: Sequence[int], period: float = 2.0 * math.pi) -> None:
        features = as_features(features)
        super().__init__(features)
        check_places("circular", circular, features)
        check_number("period", period, above=0.0)
        self.period = period
        self.register_buffer("is_circular", torch.tensor([f in set(circular) for f in range(features)]))

    @property
    def domain(self) -> Any:
        """One period of the angles, and any other numbers."""
        half = 0.5 * self.period
        circular = self.is_circular.nonzero().flatten().tolist()
        return by_feature(dict.fromkeys(circular, (-half, half)), len(self.is_circular))

    @property
    def codomain(self) -> Any:
        """The domain."""
        return self.domain

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Wrap the angles."""
        return torch.where(self.is_circular, wrap(x, self.period), x), x.new_zeros(x.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Wrap the angles: the same again."""
        return self.forward(z)
