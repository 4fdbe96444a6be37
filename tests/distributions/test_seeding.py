"""Seeded rows: reproducible, independent of how many are drawn, different for every seed and block."""

import torch

from logpx.distributions.seeding import BLOCK_ROWS, draw_rows


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
