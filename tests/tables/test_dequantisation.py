import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from logpx.errors import UsageError
from logpx.tables.dequantisation import dequantise, quantise, uniforms


@given(st.integers(0, 20_000), st.integers(0, 9_000), st.integers(1, 3))
def test_a_row_has_the_same_noise_however_rows_are_batched(first, rows, columns):
    whole = uniforms(7, 0, first + rows, columns)
    assert torch.equal(uniforms(7, first, rows, columns), whole[first:])


def test_noise_is_uniform_and_independent_of_seed_draw_and_block():
    noise = uniforms(0, 0, 40_000, 2)
    assert stats.kstest(noise.reshape(-1).numpy(), "uniform").pvalue > 1e-3
    others = [uniforms(1, 0, 40_000, 2), uniforms(0, 0, 40_000, 2, draw=1), uniforms(0, 4096, 40_000, 2)]
    for other in others:
        assert abs(np.corrcoef(noise.reshape(-1), other.reshape(-1))[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.02


@pytest.mark.parametrize("arguments", [(-1, 0, 1, 1), (2**64, 0, 1, 1), (0, -1, 1, 1), (0, 0, -1, 1)])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError):
        uniforms(*arguments)


def test_no_rows_is_an_empty_tensor():
    assert uniforms(0, 5, 0, 3).shape == (0, 3)


def test_noise_covers_exactly_one_step():
    # A uniform density over 256 whole numbers, one byte, has exactly 8 bits however it is dequantised.
    x = torch.arange(256, dtype=torch.float64)
    noisy = dequantise(x, 1.0, uniforms(0, 0, 256, 1)[:, 0])
    log_density = torch.where((noisy >= -0.5) & (noisy < 255.5), -math.log(256), -math.inf)
    assert (log_density / -math.log(2)).mean().item() == pytest.approx(8.0)
    many = dequantise(torch.zeros(100_000, dtype=torch.float64), 0.25, uniforms(0, 0, 100_000, 1)[:, 0])
    assert many.min().item() == pytest.approx(-0.125, abs=1e-4)
    assert many.max().item() == pytest.approx(0.125, abs=1e-4)


def test_a_column_of_step_zero_is_left_alone():
    x = torch.ones(5, 2, dtype=torch.float64)
    noisy = dequantise(x, torch.tensor([0.0, 1.0], dtype=torch.float64), uniforms(0, 0, 5, 2))
    assert torch.equal(noisy[:, 0], x[:, 0])
    assert not torch.equal(noisy[:, 1], x[:, 1])


@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from([1.0, 0.01, 0.1, 0.25, 5.0, 3.7, 1 / 12]),
    st.floats(0.001, 0.999),
)
def test_quantise_undoes_dequantise(cell, step, noise):
    value = torch.tensor([0.3 + cell * step], dtype=torch.float64)
    noisy = dequantise(value, step, torch.tensor([noise], dtype=torch.float64))
    back = quantise(noisy, step, offset=0.3)
    assert back.item() == pytest.approx(value.item(), rel=1e-12, abs=1e-9 * step)


@given(st.integers(-(10**7), 10**7), st.integers(0, 6))
def test_decimals_come_back_as_they_were_written(cell, places):
    written = float(f"{cell}e-{places}")
    step = float(f"1e-{places}")
    assert quantise(torch.tensor([written], dtype=torch.float64), step).item() == written
