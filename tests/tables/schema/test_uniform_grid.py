"""The coarsest uniform grid under rounding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.tables.schema.uniform_grid import fit_uniform_grid, modulo


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(12, 60),
    step=st.floats(0.01, 100),
    offset=st.floats(-50, 50),
    relative=st.sampled_from([1e-9, 1e-6, 1e-3]),
)
def test_noisy_values_on_a_grid_are_explained_within_their_errors(seed, count, step, offset, relative):
    generator = np.random.default_rng(seed)
    ranks = np.cumsum(generator.integers(1, 30, count))
    error = np.full(count, relative * step)
    values = offset + ranks * step + generator.uniform(-1, 1, count) * error * 0.99
    found = fit_uniform_grid(values, error, np.ones(len(ranks)))
    assert found is not None
    # The coarsest grid: the greatest common divisor of the distances, in steps.
    divisor = np.gcd.reduce(np.diff(ranks))
    assert found[0] == pytest.approx(step * divisor, rel=3 * relative)
    residual = (values - found[1]) / found[0]
    assert np.abs(residual - np.round(residual)).max() * found[0] <= 2.1 * error[0] + 1e-9


@given(st.integers(0, 2**32 - 1), st.integers(30, 200))
def test_values_anywhere_are_on_no_grid(seed, count):
    values = np.sort(np.random.default_rng(seed).uniform(0, 1, count))
    assert fit_uniform_grid(values, np.full(count, 1e-9), np.ones(count)) is None


def test_errors_as_large_as_the_gaps_say_nothing():
    assert fit_uniform_grid(np.arange(50.0), np.full(50, 0.4), np.ones(50)) is None


def test_fewer_than_two_values_have_no_step():
    assert fit_uniform_grid(np.array([1.0]), np.zeros(1), np.ones(1)) is None


@pytest.mark.parametrize(
    ("offset", "expected"), [(-0.25, 0.75), (3.25, 0.25), (-1e-17, 0.0), (1 - 1e-12, 0.0)]
)
def test_modulo(offset, expected):
    assert modulo(offset, 1.0) == expected
