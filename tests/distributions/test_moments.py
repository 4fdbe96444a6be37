"""Moments are values: merging, weights and translation are exact."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from logpx.distributions import Moments

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def same(a, b, **tolerance):
    for name in ("count", "mean", "scatter"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), **(tolerance or CLOSE))


@given(st.integers(0, 1000), st.integers(0, 30), st.booleans())
def test_parts_add_up_to_the_whole(seed, cut, full):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(30, 3)))
    weights = torch.from_numpy(np.random.default_rng(seed).uniform(size=30))
    whole = Moments.of(x, weights, full)
    first, second = Moments.of(x[:cut], weights[:cut], full), Moments.of(x[cut:], weights[cut:], full)
    same(first + second, whole)
    same(second + first, whole)


def test_against_numpy():
    x = torch.randn(50, 3)
    moments = Moments.of(x, full=True)
    np.testing.assert_allclose(moments.scatter / moments.count, np.cov(x.double().T, bias=True), rtol=1e-12)


def test_integer_weights_are_repetitions():
    x, times = torch.randn(20, 2), torch.randint(0, 4, (20,))
    for full in (False, True):
        same(Moments.of(x, times, full), Moments.of(x.repeat_interleave(times, 0), full=full))


def test_translation():
    x = torch.randn(500, 2, dtype=torch.float64)
    plain, moved = Moments.of(x, full=True), Moments.of(x + 1e6, full=True)
    torch.testing.assert_close(moved.scatter, plain.scatter, rtol=1e-8, atol=1e-6)


def test_translation_survives_merging():
    x = torch.randn(500, 2, dtype=torch.float64) + 1e6
    total = Moments.of(x[:1])
    for row in x[1:].split(1):
        total = total + Moments.of(row)
    torch.testing.assert_close(total.scatter, Moments.of(x).scatter, rtol=1e-8, atol=0)


def test_single_precision_rows_are_summed_in_double():
    x = torch.randn(100_000, 1) + 1e3
    np.testing.assert_allclose(Moments.of(x).scatter / 100_000, x.double().numpy().var(0), rtol=1e-12)
