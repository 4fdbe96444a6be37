"""A distribution seen as a map of noise, with draws carried from one side to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from logpx.distributions import Distribution, Flow
from logpx.transforms import Transform

__all__ = ["NoiseSpace", "noise_space", "with_noise"]


@dataclass(frozen=True)
class NoiseSpace:
    """The noise of a distribution, and the maps between noise and draws.

    Attributes
    ----------
    base : Distribution
        The distribution of the noise.
    transforms : sequence of Transform
        From draws towards noise, in this order.
    """

    base: Distribution
    transforms: Sequence[Transform] = ()

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise of draws ``(n, d)`` and the log abs(det) of the map to it, shape ``(n,)``."""
        total = u.new_zeros(len(u))
        for transform in self.transforms:
            u, ladj = transform.forward(u)
            total = total + ladj
        return u, total

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the draws that noise ``(n, d)`` gives, and the log abs(det) of the map, shape ``(n,)``."""
        total = z.new_zeros(len(z))
        for transform in reversed(self.transforms):
            z, ladj = transform.inverse(z)
            total = total + ladj
        return z, total


def noise_space(q: Distribution) -> NoiseSpace:
    """Return the noise and the maps of a flow, also of nested flows; another distribution is its own noise.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> from logpx.transforms import Affine, Reverse
    >>> space = noise_space(Flow(Flow(StandardNormal(2), Affine(2)), Reverse(2)))
    >>> type(space.base).__name__, len(space.transforms)
    ('StandardNormal', 2)
    """
    transforms = []
    while isinstance(q, Flow):
        transforms.append(q.transform)
        q = q.base
    return NoiseSpace(q, transforms)


def with_noise(q: Distribution, noise: Distribution) -> Distribution:
    """Return the same maps applied to another noise."""
    for transform in reversed(noise_space(q).transforms):
        noise = Flow(noise, transform)
    return noise
