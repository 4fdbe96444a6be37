"""A distribution seen as a map of noise, and what looks like a posterior on the one side on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Protocol

import torch
from torch import Tensor

from logpx.distributions import DiagonalNormal, Distribution, Flow, FullNormal, StandardNormal
from logpx.posteriors.moved import Moved

__all__ = ["NoiseSpace", "noise_space"]


class _Map(Protocol):
    """What a `Transform` is: a map with its inverse, both with their log abs(det)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class NoiseSpace:
    """The noise of a distribution, and the maps that make draws of it.

    Attributes
    ----------
    base : Distribution
        Of the noise.
    maps : sequence
        From draws towards noise, in this order.
    """

    base: Distribution
    maps: Sequence[_Map] = ()

    def back(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise of draws ``(n, d)``, and the log abs(det) of the map to it, shape ``(n,)``."""
        total = u.new_zeros(len(u))
        for each in self.maps:
            u, ladj = each.forward(u)
            total = total + ladj
        return u, total

    def out(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the draws of noise ``(n, d)``, and the log abs(det) of the map to them, shape ``(n,)``."""
        total = torch.zeros(len(z), dtype=torch.float64)
        for each in reversed(self.maps):
            z, ladj = each.inverse(z)
            total = total + ladj
        return z, total


@singledispatch
def noise_space(q: Distribution) -> NoiseSpace:
    """Return the noise and the maps of a distribution; one that is no map of another is its own noise.

    Examples
    --------
    >>> space = noise_space(FullNormal(2))
    >>> type(space.base).__name__, len(space.maps)
    ('StandardNormal', 1)
    """
    return NoiseSpace(q)


@noise_space.register
def _moved(q: Moved) -> NoiseSpace:
    inner = noise_space(q.inside)
    return NoiseSpace(inner.base, (_Units(q), *inner.maps))


@noise_space.register
def _flow(q: Flow) -> NoiseSpace:
    inner = noise_space(q.base)
    return NoiseSpace(inner.base, (q.transform, *inner.maps))


@noise_space.register
def _full(q: FullNormal) -> NoiseSpace:
    return noise_space(Moved(StandardNormal(len(q.mean)).double(), q.mean.detach(), q.cholesky.detach()))


@noise_space.register
def _diagonal(q: DiagonalNormal) -> NoiseSpace:
    factor = q.log_scale.detach().exp().diag()
    return noise_space(Moved(StandardNormal(len(q.mean)).double(), q.mean.detach(), factor))


@dataclass(frozen=True)
class _Units:
    """The change of units of a `Moved` distribution."""

    moved: Moved

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.moved.within(x), -self.moved.ladj.expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.moved.outside(z), self.moved.ladj.expand(len(z))
