"""Seeded rows: reproducible, independent of how many are drawn, different for every seed and block."""

import numpy as np
import pytest
import torch

from logpx.distributions.seeding import BLOCK_ROWS, draw_rows
from logpx.errors import UsageError


def normal(n, seed):
    return draw_rows(
        n,
        seed,
        torch.empty(0),
        lambda rows, generator, device: torch.randn(rows, 2, generator=generator, device=device),
    )


def test_heads_are_bit_identical():
    whole = normal(3 * BLOCK_ROWS + 5, 1)
    for n in (0, 1, 10, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 5):
        assert torch.equal(normal(n, 1), whole[:n])


def test_blocks_and_seeds_differ():
    whole = normal(4 * BLOCK_ROWS, 1)
    assert len(torch.unique(whole[:, 0])) > 0.999 * len(whole)
    starts = torch.stack([normal(1, seed)[0] for seed in (-2, -1, 0, 1, 2, 2**40)])
    assert len(torch.unique(starts, dim=0)) == 6


def test_blocks_do_not_correlate():
    first, second = normal(2 * BLOCK_ROWS, 3)[:, 0].split(BLOCK_ROWS)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 4.0 / BLOCK_ROWS**0.5


@pytest.mark.parametrize(("n", "seed"), [(-1, 0), (2.0, 0), (None, None), ("3", 0), (2, 1.5), (2, "a")])
def test_numbers_that_are_not_whole_are_refused(n, seed):
    with pytest.raises(UsageError):
        normal(n, seed)


def test_numbers_of_numpy_and_of_any_size_are_taken():
    assert torch.equal(normal(np.int64(3), np.uint8(7)), normal(3, 7))
    assert normal(2, 10**30).shape == (2, 2)
