"""Count, mean and scatter as one value: centred, and merged exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.representations import Shown

__all__ = ["Moments", "check_weights", "triangle_of"]

# Chunks of this size stay in the cache.
_CHUNK_ROWS = 4096


@dataclass(frozen=True, repr=False)
class Moments(Shown):
    """Weighted count, mean and centred scatter of rows, in float64.

    Two of them add up to the moments of all their rows, which is all that chunks, weights and processes
    need.

    Parameters
    ----------
    count
        The sum of the weights, shape ``()``.
    mean
        Shape ``(D,)``.
    scatter
        The weighted sum of squared deviations from the mean: shape ``(D,)``, or ``(D, D)`` if full.

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
        """Return the moments of rows of shape ``(n, D)``, with weights of shape ``(n,)`` or 1 each.

        Raises
        ------
        UsageError
            If there is not one weight for each row.
        """
        check_weights(weights, len(x))
        features = x.shape[1]
        # Deviations from the mean of the first rows, which is close enough to the overall mean that nothing
        # cancels.
        shift = x[:_CHUNK_ROWS].double().mean(0) if len(x) else x.new_zeros(features, dtype=torch.float64)
        count, first = shift.new_zeros(()), torch.zeros_like(shift)
        second = shift.new_zeros(features, features) if full else torch.zeros_like(shift)
        buffer = shift.new_empty(min(len(x), _CHUNK_ROWS), features)
        for start in range(0, len(x), _CHUNK_ROWS):
            rows = x[start : start + _CHUNK_ROWS]
            weight = None if weights is None else weights[start : start + _CHUNK_ROWS].double()
            centred = torch.sub(rows, shift, out=buffer[: len(rows)])
            weighted = centred if weight is None else centred * weight[:, None]
            count += len(rows) if weight is None else weight.sum()
            first += weighted.sum(0)
            if full:
                second.addmm_(weighted.mT, centred)
            else:
                second += (weighted * centred).sum(0)
        step = first / count.clamp_min(torch.finfo(torch.float64).tiny)
        return cls(count, shift + step, second - (torch.outer(first, step) if full else first * step))

    def __add__(self, other: Moments) -> Moments:
        """Merge with the moments of other rows."""
        count = self.count + other.count
        safe = count.clamp_min(torch.finfo(torch.float64).tiny)
        step = other.mean - self.mean
        between = torch.outer(step, step) if self.scatter.dim() == 2 else step * step
        scatter = self.scatter + other.scatter + between * (self.count * other.count / safe)
        return Moments(count, self.mean + step * (other.count / safe), scatter)


def triangle_of(blocks: Iterable[tuple[Tensor, Tensor | None]], moments: Moments) -> Tensor:
    """Return a triangular root R of the average scatter RᵀR of rows, shape ``(D, D)``, from a second pass.

    Directions in which rows hardly vary keep their digits, which the scatter itself loses: rounding errors
    are relative to the largest deviation, and not to its square.

    Parameters
    ----------
    blocks
        Rows of shape ``(n, D)`` and their weights.
    moments
        Their moments, for mean and count.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 1e-12], [-1.0, 1e-12], [1.0, -1e-12], [-1.0, -1e-12]])
    >>> triangle_of([(x, None)], Moments.of(x)).abs()
    tensor([[1.0000e+00, 0.0000e+00],
            [0.0000e+00, 1.0000e-12]], dtype=torch.float64)
    """
    root = moments.mean.new_zeros(0, len(moments.mean))
    for x, weights in blocks:
        for start in range(0, len(x), _CHUNK_ROWS):
            rows = x[start : start + _CHUNK_ROWS].double() - moments.mean
            if weights is not None:
                rows = rows * weights[start : start + _CHUNK_ROWS].double().sqrt()[:, None]
            root = torch.linalg.qr(torch.cat([root, rows]), mode="r").R
    return root / moments.count.sqrt()


def check_weights(weights: Tensor | None, rows: int) -> None:
    """Refuse weights that are not one for each row, finite and at least 0.

    Raises
    ------
    UsageError
        Naming what was expected.
    """
    if weights is None:
        return
    if not isinstance(weights, Tensor):
        raise UsageError(
            f"a {type(weights).__name__} given as weights, where a tensor was expected",
            fix="convert it with torch.as_tensor(weights)",
        )
    # Of NaN, too.
    if tuple(weights.shape) == (rows,) and not bool(((weights >= 0.0) & (weights < math.inf)).all()):
        raise UsageError("a weight that is no finite number, or below 0", fix="correct the weights")
    if tuple(weights.shape) != (rows,):
        raise UsageError(
            f"weights of shape {tuple(weights.shape)} for {rows:,} rows", fix=f"give the shape ({rows},)"
        )
