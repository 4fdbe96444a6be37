"""Noise: uniform, and a row's own."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from logpx.errors import UsageError
from logpx.scoring import Noise

LIKE = torch.empty(0, dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 7, 32, 50, 100])
def test_noise_does_not_depend_on_batches(size: int):
    whole = Noise(3, draw=2).uniform(100, (2, 3, 3), LIKE)
    parts = [
        Noise(3, first=start, draw=2).uniform(min(size, 100 - start), (2, 3, 3), LIKE)
        for start in range(0, 100, size)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_noise_is_uniform():
    noise = Noise(0).uniform(500, (1, 4, 4), LIKE).flatten()
    assert scipy.stats.kstest(noise.numpy(), "uniform").pvalue > 1e-3


def test_seeds_and_draws_differ():
    noises = [Noise(seed, draw=draw).uniform(3, (1, 2, 2), LIKE) for seed in (-1, 0, 1) for draw in (0, 1)]
    assert len({tuple(noise.flatten().tolist()) for noise in noises}) == 6


def test_no_images_no_noise():
    assert Noise(0).uniform(0, (1, 2, 2), LIKE).shape == (0, 1, 2, 2)


def test_without_a_seed_the_global_generator_is_used():
    torch.manual_seed(4)
    first = Noise().uniform(5, (1, 2, 2), LIKE)
    torch.manual_seed(4)
    assert torch.equal(first, torch.rand(5, 1, 2, 2, dtype=torch.float64))


@given(st.integers(0, 20_000), st.integers(0, 9_000), st.integers(1, 3))
def test_a_row_of_a_table_has_the_same_noise_however_rows_are_batched(first, rows, columns):
    whole = Noise(7).uniform(first + rows, (columns,), LIKE)
    assert torch.equal(Noise(7, first).uniform(rows, (columns,), LIKE), whole[first:])


def test_noise_is_independent_of_seed_draw_and_block():
    noise = Noise(0).uniform(40_000, (2,), LIKE)
    assert scipy.stats.kstest(noise.reshape(-1).numpy(), "uniform").pvalue > 1e-3
    for other in (Noise(1), Noise(0, draw=1), Noise(0, first=4096)):
        values = other.uniform(40_000, (2,), LIKE)
        assert abs(np.corrcoef(noise.reshape(-1), values.reshape(-1))[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.02


@pytest.mark.parametrize("arguments", [(0, -1), (0, 0, -1), (1.5,)])
def test_what_cannot_be_meant_is_refused(arguments):
    with pytest.raises(UsageError):
        Noise(*arguments).uniform(1, (1,), LIKE)
