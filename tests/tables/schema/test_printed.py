"""The precision that numbers were written with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.tables.schema.printed import printed_precision


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_decimals(seed, decimals):
    exact = np.random.default_rng(seed).uniform(-999, 999, 500)
    values = np.unique(exact.round(decimals))
    printed = printed_precision(values)
    assert printed.decimals == decimals
    assert printed.error.max() == pytest.approx(0.5 * 10.0**-decimals, rel=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(3, 9))
def test_significant_digits_bound_the_error_of_each_value(seed, digits):
    exact = np.sort(np.random.default_rng(seed).normal(size=500) * 10.0 ** np.linspace(-3, 3, 500))
    values = np.array([float(f"{value:.{digits}g}") for value in exact])
    printed = printed_precision(values)
    assert (np.abs(values - exact) <= printed.error).all()
    assert printed.error.min() < 1e-3 * printed.error.max()
    assert printed.decimals is None


def test_binary_numbers_have_binary_noise_only():
    values = np.sort(np.random.default_rng(0).normal(size=100))
    double, single = printed_precision(values), printed_precision(values.astype(np.float32).astype(float))
    assert double.error.max() < 1e-12
    assert 1e-9 < single.error.max() < 1e-6
    assert (double.decimals, single.decimals) == (None, None)


def test_zero_and_nothing_are_survived():
    assert printed_precision(np.array([0.0])).error.tolist() == [0.0]
    assert len(printed_precision(np.empty(0)).error) == 0
