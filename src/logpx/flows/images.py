"""How flows of images are built: levels of ever smaller images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.transforms import Coupling, Partition, Transform
from logpx.transforms.squeezed import check_even

__all__ = ["alternating", "checked_levels"]

# Dinh et al. 2017 and Kingma and Dhariwal 2018 stop halving at 4 × 4.
_SMALLEST = 4


def checked_levels(shape: Sequence[int], levels: int | None, halvings: Callable[[int], int]) -> int:
    """Return the number of levels of a multi-scale flow, each of which needs an even height and width.

    Parameters
    ----------
    shape
        Channels, height and width of the image.
    levels
        The requested number; None takes as many as leave at least 4 pixels a side at the last level.
    halvings
        Maps a number of levels to how often the image has been halved at the last one.

    Raises
    ------
    UsageError
        If a side of the image is odd, or cannot be halved that often.
    """
    _, *sides = check_even(shape)

    def divisible(count: int) -> bool:
        return all(side % 2**count == 0 for side in sides)

    if levels is None:
        levels = 1
        while divisible(levels + 1) and min(sides) >> halvings(levels + 1) >= _SMALLEST:
            levels += 1
    check_count("levels", levels)
    if not divisible(levels):
        most = max(count for count in range(1, levels) if divisible(count))
        raise UsageError(
            f"{levels} levels need a height and width that are multiples of {2**levels}, not {sides[0]} × "
            f"{sides[1]}",
            fix=f"give levels={most} or fewer, or pad the images",
        )
    return levels


def alternating(
    partition: Callable[[tuple[int, int, int], bool], Partition],
    shape: tuple[int, int, int],
    count: int,
    hidden: Sequence[int],
    context: int,
) -> list[Transform]:
    """Return affine coupling layers of one partition that map its two parts in turn."""
    return [
        Coupling(hidden=hidden, context=context, partition=partition(shape, index % 2 == 1))
        for index in range(count)
    ]
