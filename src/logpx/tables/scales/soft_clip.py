"""The scale of a column that ends at bounds, and away from them is as a scale without bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from logpx.errors import DataError, UsageError
from logpx.tables.scales.sample import Sample
from logpx.tables.scales.scale import LIMIT, Scale

__all__ = ["SoftClip"]

_FLOAT = torch.finfo(torch.float64)
# The width of the bend at a bound: a small share of the spread, and of the distance between two bounds.
_OF_SPREAD = 0.05
_OF_RANGE = 0.25
_FARTHEST = 1e300


class SoftClip(Scale):
    r"""Stretch the space next to bounds to infinity, then apply a scale without bounds.

    With bounds a and b and a width w, x is the soft clipping of v:

    .. math:: x = a + w \log(1 + e^{(v - a)/w}) - w \log(1 + e^{(v - b)/w}),

    so that v is x but for a few widths next to the bounds, and linear relations between columns stay linear
    there. All mass lies between the bounds, whatever the density of v.

    Parameters
    ----------
    inner : Scale
        The scale of v.
    below, above : bool
        Whether there is a lower and an upper bound.

    References
    ----------
    Dillon et al. 2017, TensorFlow Distributions, whose bijector of this name is the same map.
    https://arxiv.org/abs/1711.10604

    Examples
    --------
    >>> from logpx.tables.scales import Standard
    >>> scale = SoftClip.fit([0.5, 1.0, 1.5, 2.0], inner=Standard.fit, lower=0.0)
    >>> y, log_derivative = scale(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))
    >>> bool(log_derivative[0] == -torch.inf), bool((log_derivative[1:].diff().abs() < 1e-3).all())
    (True, True)
    """

    lower: Tensor
    upper: Tensor
    width: Tensor

    def __init__(self, inner: Scale, below: bool = True, above: bool = False) -> None:
        super().__init__()
        if not (below or above):
            raise UsageError("a soft clip without a bound", fix="give below=True, above=True or both")
        self.inner = inner
        self.below, self.above = below, above
        self._number("lower", 0.0)
        self._number("upper", 1.0)
        self._number("width", 0.1)

    @classmethod
    def fit(
        cls,
        x: Any,
        weights: Any = None,
        *,
        inner: Callable[..., Scale],
        lower: float | None = None,
        upper: float | None = None,
        least_width: float = 0.0,
        limit: float = LIMIT,
    ) -> Self:
        """Return the scale of training values that all lie strictly between the bounds.

        Parameters
        ----------
        x : array of shape (n,)
            Training values, or a `Sample` of them.
        weights : array of shape (n,), optional
            The weight of each row.
        inner : callable
            The ``fit`` of the inner scale.
        lower, upper : float, optional
            The bounds, at least one of them.
        least_width : float
            The least width of the bend at a bound: half a step on a grid.
        limit : float
            Standard deviations beyond which power-law tails begin.

        Raises
        ------
        DataError
            If a value lies on or beyond a bound, or fewer than two values are distinct.
        """
        sample = Sample.of(x, weights)
        width = max(_OF_SPREAD * sample.spread(), least_width)
        if lower is not None and upper is not None:
            width = min(width, _OF_RANGE * (upper - lower))
        first, last = (
            None if end is None else torch.tensor(end, dtype=torch.float64) for end in (lower, upper)
        )
        bend = _Bend(first, last, torch.tensor(width, dtype=torch.float64))
        stretched, log_slope = bend.stretched(torch.from_numpy(sample.values))
        if not torch.isfinite(log_slope).all():
            raise DataError("values outside the support of the scale", fix="widen the declared bounds")
        scale = cls(
            inner(sample.mapped(stretched.numpy()), limit=math.inf), lower is not None, upper is not None
        )
        for own, value in ((scale.lower, lower), (scale.upper, upper), (scale.width, width)):
            if value is not None:
                own.fill_(value)
        return scale._standardise(sample, limit)

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v, log_slope = self._bend.stretched(x)
        y, log_inner = self.inner(v)
        return y, log_slope + log_inner

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        v, log_inner = self.inner.inverse(value)
        x, log_slope = self._bend.clipped(v)
        return x, log_slope + log_inner

    @property
    def _bend(self) -> _Bend:
        return _Bend(self.lower if self.below else None, self.upper if self.above else None, self.width)


@dataclass(frozen=True)
class _Bend:
    """The map between the line and the values within bounds."""

    lower: Tensor | None
    upper: Tensor | None
    width: Tensor

    def stretched(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the point of the line for each value, and the log-slope; minus infinity outside."""
        v, inside = x, torch.ones_like(x, dtype=torch.bool)
        terms = [torch.zeros_like(x)]
        for bound, side in ((self.lower, 1.0), (self.upper, -1.0)):
            if bound is not None:
                distance = (x - bound) * side
                inside = inside & (distance > 0)
                share = (distance.clamp(_FLOAT.tiny, _FLOAT.max) / self.width).clamp(_FLOAT.tiny, _FLOAT.max)
                bend = _log_one_minus_exp(share)
                v = v + side * self.width * bend
                terms.append(-share - bend)
        log_slope = torch.logsumexp(torch.stack(terms), 0)
        return v, torch.where(inside, log_slope, -math.inf)

    def clipped(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value between the bounds for each point of the line, and the log-slope."""
        v = v.clamp(-_FARTHEST, _FARTHEST)
        x, excess, log_slope = v, torch.zeros_like(v), torch.zeros_like(v)
        for bound, side in ((self.lower, 1.0), (self.upper, -1.0)):
            if bound is not None:
                share = ((v - bound) * side / self.width).clamp(-_FARTHEST, _FARTHEST)
                x = torch.maximum(x, bound) if side > 0 else torch.minimum(x, bound)
                excess = excess + side * torch.log1p(torch.exp(-share.abs()))
                log_slope = log_slope + logsigmoid(share)
        if self.lower is not None and self.upper is not None:
            log_slope = log_slope + _log_one_minus_exp((self.upper - self.lower) / self.width)
        return self._inside(x + self.width * excess), log_slope

    def _inside(self, x: Tensor) -> Tensor:
        """Return values moved off the bounds, where rounding has put them there."""
        if self.lower is not None:
            x = torch.maximum(x, torch.nextafter(self.lower, self.lower + math.inf))
        if self.upper is not None:
            x = torch.minimum(x, torch.nextafter(self.upper, self.upper - math.inf))
        return x


def _log_one_minus_exp(t: Tensor) -> Tensor:
    """Return log(1 - exp(-t)) for positive t."""
    return torch.log(-torch.expm1(-t))
