import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logpx.scoring import Noise
from logpx.tables.dequantisation import dequantise, quantise


def uniforms(rows: int, columns: int = 1) -> torch.Tensor:
    return Noise(0).uniform(rows, (columns,), torch.empty(0, dtype=torch.float64))


def test_noise_covers_exactly_one_step():
    # A uniform density over 256 whole numbers, one byte, has exactly 8 bits however it is dequantised.
    x = torch.arange(256, dtype=torch.float64)
    noisy = dequantise(x, 1.0, uniforms(256)[:, 0])
    log_density = torch.where((noisy >= -0.5) & (noisy < 255.5), -math.log(256), -math.inf)
    assert (log_density / -math.log(2)).mean().item() == pytest.approx(8.0)
    many = dequantise(torch.zeros(100_000, dtype=torch.float64), 0.25, uniforms(100_000)[:, 0])
    assert many.min().item() == pytest.approx(-0.125, abs=1e-4)
    assert many.max().item() == pytest.approx(0.125, abs=1e-4)


def test_a_column_of_step_zero_is_left_alone():
    x = torch.ones(5, 2, dtype=torch.float64)
    noisy = dequantise(x, torch.tensor([0.0, 1.0], dtype=torch.float64), uniforms(5, 2))
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
