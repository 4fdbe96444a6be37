"""Grids are found whatever was done to the numbers since, and not where there is none."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from logpx.tables.schema.grids import Grid, detect_grid


def on_grid(values, grid, tolerance):
    offsets = (np.asarray(values) - grid.offset) / grid.step
    return np.abs(offsets - np.round(offsets)).max() * grid.step <= tolerance


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, levels=st.integers(8, 300), step=st.floats(1e-6, 1e6), offset=st.floats(-1e3, 1e3))
def test_any_step_and_offset_is_found_in_full_precision(seed, levels, step, offset):
    ranks = np.random.default_rng(seed).integers(0, levels, 4000)
    values = offset * step + ranks * step
    assume(not np.all(values == np.floor(values)))
    grid = detect_grid(values)
    assert grid.uniform
    assert grid.step == pytest.approx(step, rel=1e-6)
    assert on_grid(values, grid, 1e-6 * np.abs(values).max())


@given(
    seed=seeds,
    levels=st.integers(8, 120),
    step=st.sampled_from([1.0, 0.1, 0.05, 0.25, 5.0, 10.0, 2.5]),
    mean=st.floats(-5, 5),
    digits=st.integers(5, 9),
)
def test_centred_values_printed_with_few_digits(seed, levels, step, mean, digits):
    ranks = np.random.default_rng(seed).integers(0, levels, 4000)
    exact = ranks * step - (levels / 2 + mean) * step
    values = np.array([float(f"{value:.{digits}g}") for value in exact])
    assume(not np.all(values == np.floor(values)))
    grid = detect_grid(values)
    assert grid.uniform
    assert grid.step == pytest.approx(step, rel=1e-6)
    assert on_grid(exact, grid, 10.0 ** (1 - digits) * np.abs(exact).max())


@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-10, 10), levels=st.integers(20, 200))
def test_standardised_whole_numbers_stored_in_single_precision(seed, scale, shift, levels):
    ranks = np.random.default_rng(seed).integers(0, levels, 4000)
    values = ((ranks - shift) / scale).astype(np.float32).astype(np.float64)
    assume(not np.all(values == np.floor(values)))
    grid = detect_grid(values)
    assert grid.step == pytest.approx(1 / scale, rel=1e-4)


@given(seed=seeds, rows=st.integers(2, 3000), scale=st.floats(1e-8, 1e8), shift=st.floats(-100, 100))
def test_normal_draws_have_no_grid(seed, rows, scale, shift):
    values = (np.random.default_rng(seed).normal(size=rows) + shift) * scale
    assert detect_grid(values) is None
    assume(scale < 1e6)
    assert detect_grid(values.astype(np.float32).astype(np.float64)) is None


@given(seed=seeds, decimals=st.integers(0, 2), rows=st.integers(500, 3000))
def test_rounded_normal_draws_have_the_grid_they_were_rounded_to(seed, decimals, rows):
    values = np.round(np.random.default_rng(seed).normal(size=rows), decimals)
    grid = detect_grid(values)
    assert grid == Grid(10.0**-decimals, 0.0)


def test_accidental_ties_are_no_grid():
    values = np.random.default_rng(0).normal(size=10_000)
    values[:200] = values[200:400]
    assert detect_grid(values) is None


def test_six_digits_of_many_rows_are_no_grid_worth_a_spike():
    values = np.random.default_rng(0).normal(size=100_000).round(5)
    assert detect_grid(values) is None


@given(seed=seeds, levels=st.integers(40, 300))
def test_a_step_of_values_that_only_repeat_is_no_larger_than_any_gap(seed, levels):
    generator = np.random.default_rng(seed)
    values = generator.choice(generator.lognormal(0.0, 3.0, levels), 4000)
    grid = detect_grid(values)
    assert not grid.uniform
    assert 0 < grid.step <= np.diff(np.unique(values)).min()


def test_values_of_few_decimals_over_decades_lie_on_the_grid_of_the_last_one():
    # Weights of brains, as printed: three significant digits, and the smallest is 0.14.
    values = np.array([5712.0, 1320.0, 655.0, 81.0, 81.0, 25.6, 12.1, 3.5, 3.5, 1.0, 1.0, 0.4, 0.25, 0.14])
    grid = detect_grid(np.append(values, [0.3] * 5))
    assert (grid.step, grid.offset, grid.uniform) == (0.01, 0.0, True)


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        (np.arange(50.0) * 5, Grid(5.0, 0.0)),
        (np.arange(50.0) * 100 + 7, Grid(100.0, 7.0)),
        (np.array([0.0, 5.0, 10.0, 5.0]), Grid(1.0, 0.0)),
        (np.array([0.0, 1.0]), Grid(1.0, 0.0)),
        (np.array([3.0, 3.0]), Grid(1.0, 0.0)),
        (np.repeat([4.99, 9.99, 5.0, 19.95], 30), Grid(0.01, 0.0)),
        (np.repeat([0.0, 0.1, 0.25, 0.4], 30), Grid(0.05, 0.0)),
        (np.repeat([-0.53778, 0.46222], 30), Grid(1.0, 0.46222)),
        (np.repeat(np.round(np.arange(12) / 3, 3), 30), Grid(pytest.approx(1 / 3, abs=1e-4), 0.0)),
        (np.repeat(np.arange(30) * 0.1, 5), Grid(pytest.approx(0.1), 0.0)),
        (np.repeat([0.1 + 0.2, 0.3, 0.6, 0.5], 30), Grid(pytest.approx(0.1), 0.0)),
    ],
)
def test_known_columns(values, grid):
    found = detect_grid(np.random.default_rng(0).permutation(values))
    assert (found.step, found.offset % found.step) == (grid.step, pytest.approx(grid.offset, abs=1e-6))
    assert found.uniform


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40), st.integers(1, 4))
def test_any_values_are_survived_and_repeated_ones_always_get_a_step(values, times):
    column = np.array(values * times)
    grid = detect_grid(column)
    if grid is not None:
        assert grid.step > 0
        assert np.isfinite([grid.step, grid.offset]).all()
    if len(set(values)) > 1 and times > 1 and len(column) <= 1000:
        assert grid is not None


def test_nothing_is_no_grid():
    assert detect_grid(np.empty(0)) is None


@pytest.mark.parametrize("rows", [200, 600, 5000])
def test_numbers_of_sixteen_bits_lie_on_the_grid_that_is_found(rows):
    values = np.random.default_rng(0).normal(size=rows).astype(np.float16).astype(np.float64)
    grid = detect_grid(values)
    assert grid is None or not grid.uniform or on_grid(values, grid, grid.rounding + 1e-3 * grid.step)


def test_few_halves_are_on_a_grid_of_halves():
    ratings = np.random.default_rng(0).integers(1, 11, 45) / 2
    assert detect_grid(ratings) == Grid(0.5, 0.0)
