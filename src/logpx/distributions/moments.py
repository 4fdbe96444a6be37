"""Count, mean and scatter as a value: centred, and merged exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """Weighted count, mean and centred scatter of rows, in float64.

    Two of them add up to the moments of all rows together, so that chunks, weights and processes need
    nothing else.

    Parameters
    ----------
    count
        The sum of the weights, shape ``()``.
    mean
        Shape ``(D,)``.
    scatter
        The weighted sum of squared deviations from the mean: shape ``(D,)``, or ``(D, D)`` where it is full.

    References
    ----------
    Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance (the pairwise merge).

    Examples
    --------
    >>> x = torch.arange(6.0).view(3, 2)
    >>> merged = Moments.of(x[:1]) + Moments.of(x[1:])
    >>> merged.mean, merged.scatter
    (tensor([2., 3.], dtype=torch.float64), tensor([8., 8.], dtype=torch.float64))
    """

    count: Tensor
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, x: Tensor, weights: Tensor | None = None, full: bool = False) -> Moments:
        """Return the moments of rows of shape ``(n, D)``, with weights of shape ``(n,)`` or 1 each."""
        rows = x.double()
        weight = rows.new_ones(len(rows)) if weights is None else weights.double()
        count = weight.sum()
        mean = weight @ rows / count.clamp_min(torch.finfo(torch.float64).tiny)
        centred = rows - mean
        weighted = centred * weight[:, None]
        return cls(count, mean, weighted.mT @ centred if full else (weighted * centred).sum(0))

    def __add__(self, other: Moments) -> Moments:
        """Merge with the moments of other rows."""
        count = self.count + other.count
        safe = count.clamp_min(torch.finfo(torch.float64).tiny)
        step = other.mean - self.mean
        between = torch.outer(step, step) if self.scatter.dim() == 2 else step * step
        scatter = self.scatter + other.scatter + between * (self.count * other.count / safe)
        return Moments(count, self.mean + step * (other.count / safe), scatter)
