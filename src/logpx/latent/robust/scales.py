"""Columns of numbers centred and scaled so that a few strange values do not decide the unit."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

__all__ = ["INTERQUARTILE", "VARIANCE", "RobustScales"]

#: Added to the variances of scaled columns: neither repeated values nor few rows make a spike.
VARIANCE = 0.1
#: The interquartile range of a normal distribution, in standard deviations.
INTERQUARTILE = 1.349
# However far out a few rows are.
_LEAST_SHARE = 0.1
# In interquartile ranges: farther values, such as a number written for a missing one, count as being there.
_OUTERMOST = 1e4
# Squares of larger numbers overflow.
_LARGEST = 1e140
# Beyond so many units the square of a value says no more than that it is far out, and might overflow.
_FARTHEST = 1e6
# Values beside the one that repeats which are like labels.
_FEW = 5
# Of a value of the usual size, what differs by less is the same.
_SAME = 1e-12


class RobustScales(nn.Module):
    r"""Medians, and interquartile ranges between a tenth and all of the standard deviation.

    Where most rows repeat one value, the unit is the standard deviation. If they do and there are at most
    five others, which a share q of the rows has, these are as surprising as they are rare: the unit is such
    that the median of their distances is :math:`\sqrt{-2 v \log q}`, with the least variance v of the
    mixtures. Any other value of a column that never varies is one unit away.

    Parameters
    ----------
    features
        The number of columns d.

    Examples
    --------
    >>> scales = RobustScales.of(np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0]]))
    >>> scales(torch.tensor([[1.0, 9.0]], dtype=torch.float64))
    tensor([[0., 1.]], dtype=torch.float64)
    """

    size: Tensor
    centre: Tensor
    spread: Tensor
    constant: Tensor
    scaled: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("size", torch.ones(features, dtype=torch.float64))
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(features, dtype=torch.float64))
        self.register_buffer("constant", torch.zeros(features, dtype=torch.bool))
        self.register_buffer("scaled", torch.ones(features, dtype=torch.bool))

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no rows can give, or None."""
        for name, tensor in self.named_buffers():
            if not bool(tensor.isfinite().all()):
                return name
        return None if bool((self.spread > 0.0).all()) else "spread"

    @classmethod
    def of(cls, x: npt.NDArray[np.float64], scaled: npt.NDArray[np.bool_] | None = None) -> RobustScales:
        """Return the scales of rows.

        Parameters
        ----------
        x
            Shape ``(n, d)``; NaN is missing.
        scaled
            Which columns are scaled, shape ``(d,)``; all by default. The others stay as they are.
        """
        with warnings.catch_warnings():
            # A column without any value.
            warnings.simplefilter("ignore", RuntimeWarning)
            # Squares of large numbers overflow in their own units, and single ones say nothing of the unit.
            size = np.nanmedian(np.where(x == 0.0, np.nan, np.abs(x)), axis=0)
            size = np.where(size > 0.0, size, 1.0)
            with np.errstate(over="ignore"):
                y = np.clip(x / size, -_LARGEST, _LARGEST)
            low, middle, high = np.nanpercentile(y, (25.0, 50.0, 75.0), axis=0)
            outermost = np.where(high - low > _SAME, _OUTERMOST * (high - low), _LARGEST)
            deviation = np.nanstd(np.clip(y, middle - outermost, middle + outermost), axis=0)
        centre = np.nan_to_num(middle)
        constant = ~(deviation > _SAME)
        middling = (high - low) / INTERQUARTILE
        spread = np.clip(middling, _LEAST_SHARE * deviation, deviation)
        for column in np.flatnonzero(~constant & ~(middling > _SAME)):
            off = y[:, column] - centre[column]
            spread[column] = _unit_of_rare(off) if _are_few(off) else deviation[column]
        found = cls(x.shape[1])
        for buffer, values in (
            (found.size, size),
            (found.centre, centre),
            (found.spread, np.where(constant, 1.0, spread)),
            (found.constant, constant),
        ):
            buffer.copy_(torch.from_numpy(values))
        if scaled is not None:
            found.scaled.copy_(torch.from_numpy(scaled))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Return rows in the new units, shape ``(n, d)``, float64."""
        off = (x / self.size).clamp(-_LARGEST, _LARGEST) - self.centre
        found = (off / self.spread).clamp_(-_FARTHEST, _FARTHEST)
        if bool(self.constant.any()):
            other = torch.where(off.abs() <= _SAME, 0.0, off.sign())
            found = torch.where(self.constant & ~x.isnan(), other, found)
        return found if bool(self.scaled.all()) else torch.where(self.scaled, found, x)


def _are_few(off: npt.NDArray[np.float64]) -> bool:
    return len(np.unique(np.round(off[~np.isnan(off)] / _SAME))) <= _FEW + 1


def _unit_of_rare(off: npt.NDArray[np.float64]) -> float:
    """Return the unit of a column that mostly repeats one value, given the distances from it."""
    distances = np.abs(off[~np.isnan(off)])
    others = distances[distances > _SAME]
    share = (len(others) + 0.5) / (len(distances) + 1.0)
    return float(np.median(others) / np.sqrt(-2.0 * VARIANCE * np.log(share)))
