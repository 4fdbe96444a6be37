import pytest
import torch

from logpx.training.batches import Batch
from logpx.training.noise import TrainingNoise


def batch_of(x):
    return Batch(x, torch.arange(len(x)))


def test_noise_is_relative_to_the_spread_of_a_column():
    scales = torch.tensor([1.0, 1000.0])
    x = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0)) * scales
    noisy = TrainingNoise(x, seed=0).add(batch_of(x), epoch=0, level=0.1).x
    assert ((noisy - x).std(0) / scales).tolist() == pytest.approx([0.1, 0.1], rel=0.05)


def test_noise_stays_in_the_range_and_keeps_uniform_rows_uniform():
    x = torch.rand(50_000, 1, generator=torch.Generator().manual_seed(0))
    noisy = TrainingNoise(x, seed=0).add(batch_of(x), epoch=0, level=0.5).x
    assert x.min() <= noisy.min()
    assert noisy.max() <= x.max()
    counts = torch.histc(noisy, 10, 0.0, 1.0)
    assert (counts / 5000 - 1.0).abs().max() < 0.06


def test_spike_is_left_alone():
    x = torch.cat([torch.zeros(90, 1), torch.randn(10, 1)])
    assert torch.equal(TrainingNoise(x, seed=0).add(batch_of(x), epoch=0, level=0.5).x, x)


def test_noise_depends_on_seed_and_epoch():
    x = torch.randn(10, 2)
    draws = {}
    for seed in (0, 1):
        for epoch in (0, 1):
            once, again = (TrainingNoise(x, seed).add(batch_of(x), epoch, 0.1).x for _ in range(2))
            assert torch.equal(once, again)
            draws[seed, epoch] = once
    assert len({tuple(draw.flatten().tolist()) for draw in draws.values()}) == 4


def test_level_zero_is_no_copy():
    batch = batch_of(torch.randn(10, 2))
    assert TrainingNoise(batch.x, 0).add(batch, 0, 0.0) is batch


def test_a_missing_cell_stays_missing_and_takes_nothing_else_with_it():
    rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    holes = rows.clone()
    holes[::3, 0] = torch.nan
    noise = TrainingNoise(holes, seed=0)
    batch = Batch(holes, torch.arange(200))
    x = noise.add(batch, epoch=0, level=0.1).x
    assert torch.equal(x.isnan(), holes.isnan())
    assert bool((x != holes)[:, 1].any())
    full = TrainingNoise(rows[1::3], seed=0)
    padded = TrainingNoise(torch.cat([rows[1::3], rows[:5] * torch.nan]), seed=0)
    torch.testing.assert_close(padded._scale, full._scale)
