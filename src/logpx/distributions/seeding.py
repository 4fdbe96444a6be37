"""Random rows, each of which depends only on the seed and its row number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from logpx.arguments import is_whole
from logpx.distributions.private_randomness import current_generator, private_randomness, redirected_draws
from logpx.errors import UsageError

__all__ = [
    "BLOCK_ROWS",
    "checked_count",
    "checked_seed",
    "derived_seed",
    "draw_rows",
    "generator_of",
    "part_seed",
    "rows_of_a_block",
    "seeded",
]

BLOCK_ROWS = 4096
# Rows of more numbers than this allows are drawn in smaller blocks.
_MOST_NUMBERS = 1 << 20


def checked_count(n: int) -> int:
    """Return a number of rows, once checked.

    Raises
    ------
    UsageError
        If it is not a whole number, 0 or more.

    Examples
    --------
    >>> checked_count(-1)
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: -1 rows asked for
    fix: ask for a whole number of rows, 0 or more
    """
    if not is_whole(n) or n < 0:
        raise UsageError(f"{n!r} rows asked for", fix="ask for a whole number of rows, 0 or more")
    return int(n)


def checked_seed(seed: int, least: int | None = None) -> int:
    """Return a seed as a number of Python, once checked.

    Raises
    ------
    UsageError
        If it is not a whole number, or below `least`.

    Examples
    --------
    >>> checked_seed(7)
    7
    """
    if not is_whole(seed):
        raise UsageError(f"the seed is {seed!r}, where a whole number was expected", fix="give, say, seed=0")
    if least is not None and seed < least:
        raise UsageError(f"the seed is {seed}", fix=f"give a seed of {least} or more")
    return int(seed)


def derived_seed(seed: int, *words: int) -> int:
    """Return a separate seed for what a seed and some numbers identify: a block of rows, a draw, an epoch.

    Parameters
    ----------
    seed
        Any whole number.
    words
        Numbers, 0 or more. Different numbers, or more of them, give independent streams.

    Raises
    ------
    UsageError
        If the seed is not a whole number.

    Examples
    --------
    >>> derived_seed(0, 1) == derived_seed(0, 1), derived_seed(0, 1) == derived_seed(0, 2)
    (True, False)
    """
    seed = checked_seed(seed)
    sequence = np.random.SeedSequence(entropy=abs(seed), spawn_key=(int(seed < 0), *words))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1


def part_seed(seed: int, number: int) -> int:
    """Return the seed of one part of a model, so that its noise is independent of the other parts'.

    Raises
    ------
    UsageError
        If the seed is not a whole number.
    """
    return checked_seed(seed) + 1_000_003 * number


def generator_of(seed: int, *words: int) -> torch.Generator:
    """Return a generator on the CPU that starts at a `derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, *words))


def rows_of_a_block(width: int) -> int:
    """Return how many rows are drawn at once if each takes so many numbers."""
    return min(BLOCK_ROWS, max(1, _MOST_NUMBERS // max(1, width)))


def draw_rows(
    n: int,
    seed: int | None,
    like: Tensor,
    draw: Callable[[int, torch.Generator | None, torch.device], Tensor],
    *,
    width: int = 1,
) -> Tensor:
    """Draw n rows; with a seed, in blocks whose generators are keyed by (seed, block).

    A block has 4096 rows, or as many as make a million numbers.

    Parameters
    ----------
    n
        The number of rows.
    seed
        None for the generator of the enclosing `private_randomness`, or else torch's global one.
    like
        A tensor on the device of the result.
    draw
        Called as ``draw(rows, generator, device)``; returns that many rows.
    width
        How many numbers are drawn for each row.

    Raises
    ------
    UsageError
        If the number of rows or the seed is not a whole number, or the former is below 0.

    Examples
    --------
    >>> normal = lambda rows, generator, device: torch.randn(rows, 1, generator=generator, device=device)
    >>> short, long = (draw_rows(n, 0, torch.empty(0), normal) for n in (3, 5000))
    >>> bool((short == long[:3]).all())
    True
    """
    n = checked_count(n)
    if seed is None:
        return draw(n, current_generator(like.device), like.device)
    seed = checked_seed(seed)
    # On the CPU whatever the device, so that a seed gives the same rows everywhere.
    cpu = torch.device("cpu")
    size = rows_of_a_block(width)
    blocks = [draw(size, generator_of(seed, block), cpu) for block in range(-(-n // size))]
    return torch.cat(blocks)[:n].to(like.device) if blocks else draw(0, None, like.device)


@contextmanager
def seeded(seed: int, block: int = 0) -> Iterator[None]:
    """Draw the numbers of one block of rows from generators of its own, whatever draws them.

    For what no generator can be passed to: torch's distributions, and initial weights.

    Parameters
    ----------
    seed, block
        Together they determine the numbers.
    """
    with private_randomness(checked_seed(seed) * 1_000_003 + block), redirected_draws():
        yield
