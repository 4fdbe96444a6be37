"""Images of a point under the symmetries that posteriors often have: signs, and labels of like parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.posteriors.target.parameters import Parameters

__all__ = ["images_of"]

_MOST = 512
_MOST_EXCHANGES = 256


def images_of(point: Tensor, parameters: Parameters | None = None) -> Tensor:
    """Return images of a point ``(d,)``, shape ``(n, d)``: none of them need be a symmetry of the density.

    Signs of all coordinates, of single ones and of blocks change; like blocks of coordinates change places,
    and for named parameters, so do like entries of all that have as many.

    Parameters
    ----------
    point
        In unconstrained space.
    parameters
        The named parameters, if there are any.

    Examples
    --------
    >>> images_of(torch.tensor([1.0, 2.0])).tolist()
    [[-1.0, -2.0], [-1.0, 2.0], [1.0, -2.0], [2.0, 1.0]]
    """
    size = len(point)
    images = [-point, *(_flipped(point, index, index + 1) for index in range(size) if size > 1)]
    widths = [width for width in range(2, size // 2 + 1) if size % width == 0]
    for width in widths:
        images += [_flipped(point, start, start + width) for start in range(0, size, width)]
    images += itertools.islice(_exchanged(point, [1, *widths] if size > 1 else []), _MOST_EXCHANGES)
    if parameters is not None:
        images += itertools.islice(_relabelled(point, parameters), _MOST_EXCHANGES)
    return torch.stack(images[:_MOST])


def _flipped(point: Tensor, start: int, stop: int) -> Tensor:
    image = point.clone()
    image[start:stop] *= -1.0
    return image


def _exchanged(point: Tensor, widths: list[int]) -> Iterator[Tensor]:
    for width in reversed(widths):
        for first, second in itertools.combinations(range(0, len(point) - width + 1, width), 2):
            image = point.clone()
            image[first : first + width] = point[second : second + width]
            image[second : second + width] = point[first : first + width]
            yield image


def _relabelled(point: Tensor, parameters: Parameters) -> Iterator[Tensor]:
    """Yield the point with two like entries exchanged in every parameter that has as many entries."""
    natural, _ = parameters.constrain(point[None])
    numbers = {length for value in natural.values() for length in value.shape[1:] if length > 1}
    for number in sorted(numbers):
        for first, second in itertools.combinations(range(number), 2):
            order = list(range(number))
            order[first], order[second] = second, first
            values = {
                name: value.index_select(value.shape.index(number, 1), torch.tensor(order))
                if number in value.shape[1:]
                else value
                for name, value in natural.items()
            }
            try:
                yield parameters.unconstrain(values)[0]
            except (UsageError, RuntimeError):
                # An order among the entries forbids it, or a matrix is no longer one of covariances.
                continue
