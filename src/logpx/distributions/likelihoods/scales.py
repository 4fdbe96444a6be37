"""The width of a real value's noise: known, trained, or given by the decoder."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.arguments import check_number
from logpx.configuration import Configured
from logpx.transforms.base import as_event_shape

__all__ = ["DecodedScale", "FixedScale", "GlobalScale", "NoiseScale", "ScalePerValue"]

# A decoder that fits some rows exactly must not drive their density to infinity.
_LEAST, _MOST = math.log(1e-3), math.log(1e4)


class NoiseScale(nn.Module, Configured, ABC):
    """The standard deviation of the noise of every value.

    Attributes
    ----------
    numbers : int
        How many of the decoder's numbers it takes for every value: 0 or 1.
    absolute : bool
        Whether it is in units of x instead of those of the decoder.
    """

    numbers = 0
    absolute = False

    @abstractmethod
    def forward(self, location: Tensor, raw: Sequence[Tensor]) -> Tensor:
        """Return the scale, in the shape of the location or one that broadcasts to it."""


class FixedScale(NoiseScale):
    """A known scale.

    Examples
    --------
    >>> FixedScale(0.5)(torch.zeros(2), [])
    tensor([0.5000, 0.5000])
    """

    absolute = True

    def __init__(self, scale: float) -> None:
        super().__init__()
        check_number("scale", scale, above=0.0)
        self.scale = scale

    def forward(self, location: Tensor, raw: Sequence[Tensor]) -> Tensor:
        """Return the known scale."""
        return torch.full_like(location, self.scale)


class GlobalScale(NoiseScale):
    """One trained scale for all values, relative to the spread of each in the training data, if known.

    At the optimum its square is the mean squared error in those units.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, location: Tensor, raw: Sequence[Tensor]) -> Tensor:
        """Return the same scale for all values, at least 0.001."""
        return self.log_scale.clamp(_LEAST, _MOST).exp().expand_as(location)


class ScalePerValue(NoiseScale):
    """One trained scale for each value of x, the same for all rows.

    Parameters
    ----------
    event_shape
        The shape of x.
    """

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(as_event_shape(event_shape)))

    def forward(self, location: Tensor, raw: Sequence[Tensor]) -> Tensor:
        """Return the same scales for all rows, at least 0.001."""
        return self.log_scale.clamp(_LEAST, _MOST).exp().expand_as(location)


class DecodedScale(NoiseScale):
    """A scale whose logarithm is a second decoder number for every value."""

    numbers = 1

    def __init__(self) -> None:
        super().__init__()

    def forward(self, location: Tensor, raw: Sequence[Tensor]) -> Tensor:
        """Return the exponential of that number, between 0.001 and 10,000."""
        return raw[0].clamp(_LEAST, _MOST).exp()
