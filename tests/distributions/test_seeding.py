"""Seeded rows: reproducible, independent of how many are drawn, different for every seed and block."""

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from logpx.distributions import Exponential, FromTorch, StandardNormal, StudentT, Uniform
from logpx.distributions.seeding import BLOCK_ROWS, draw_rows
from logpx.errors import UsageError
from logpx.images.baselines import UniformLevels
from logpx.latent import GaussianMixture


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


class Largest(TorchFunctionMode):
    """Remembers how many numbers the largest tensor has that an operator returned."""

    numbers = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.numbers = max(self.numbers, found.untyped_storage().nbytes() // found.element_size())
        return found


WIDE = 2**17
MANY = [
    StandardNormal(WIDE),
    Uniform(WIDE),
    Exponential(WIDE),
    StudentT(WIDE),
    FromTorch(torch.distributions.Independent(torch.distributions.Normal(torch.zeros(WIDE), 1.0), 1)),
    GaussianMixture(2, WIDE, covariance="diagonal"),
    UniformLevels((1, 2, WIDE // 2)),
]


@pytest.mark.parametrize("wide", MANY, ids=lambda wide: type(wide).__name__)
def test_few_wide_rows_take_little_memory_and_are_the_head_of_many(wide):
    with Largest() as largest:
        rows = wide.sample(3, seed=1)
    assert largest.numbers <= 2**21
    assert torch.equal(wide.sample(10, seed=1)[:3], rows)
    assert len(rows.flatten(1)[:, 0].unique()) == 3


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
