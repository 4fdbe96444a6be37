"""Sufficient statistics as values: sums, merges and factors against numpy on all rows at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from logpx.latent import DiscreteStatistics, GaussianStatistics, MixtureStatistics, ProductStatistics

FORMS = pytest.mark.parametrize(("diagonal", "tied"), [(d, t) for d in (False, True) for t in (False, True)])


def statistics_of(x, shares, diagonal, tied):
    """Return the statistics of rows, straight from the definition."""
    count = shares.sum(1, keepdim=True)
    mean = shares @ x / count.clamp_min(1e-300)
    deviations = x - mean[:, None]
    scatter = torch.einsum("kn,kni,knj->kij", shares, deviations, deviations)
    scatter = scatter.diagonal(dim1=1, dim2=2) if diagonal else scatter
    return GaussianStatistics(count, mean, scatter.sum(0, keepdim=True) if tied else scatter)


def close(first, second, **tolerance):
    for name in ("count", "mean", "scatter"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), **tolerance)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.integers(1, 29), st.sampled_from([0.0, 1e6]))
def test_parts_add_up_to_the_whole(seed, diagonal, tied, cut, shift):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    shares = torch.rand(2, 30, generator=generator, dtype=torch.float64)
    whole = statistics_of(x, shares, diagonal, tied)
    first = statistics_of(x[:cut] + shift, shares[:, :cut], diagonal, tied)
    total = first + statistics_of(x[cut:] + shift, shares[:, cut:], diagonal, tied)
    moved = GaussianStatistics(total.count, total.mean - shift, total.scatter)
    close(moved, whole, rtol=1e-8, atol=1e-8)


@FORMS
def test_a_factor_is_a_weight_of_all_rows(diagonal, tied):
    x, shares = torch.randn(30, 3, dtype=torch.float64), torch.rand(2, 30, dtype=torch.float64)
    close(statistics_of(x, shares, diagonal, tied) * 2.5, statistics_of(x, 2.5 * shares, diagonal, tied))


@FORMS
def test_a_component_without_rows_adds_nothing(diagonal, tied):
    x, shares = torch.randn(30, 3, dtype=torch.float64), torch.rand(2, 30, dtype=torch.float64)
    shares[0, :10] = 0.0
    first = statistics_of(x[:10], shares[:, :10], diagonal, tied)
    total = first + statistics_of(x[10:], shares[:, 10:], diagonal, tied)
    close(total, statistics_of(x, shares, diagonal, tied))


def test_columns_counted_apart():
    x, present = torch.randn(40, 2, dtype=torch.float64), (torch.rand(2, 40, 2) < 0.7).double()

    def apart(rows):
        count = present[:, rows].sum(1)
        mean = (present[:, rows] * x[rows]).sum(1) / count
        scatter = (present[:, rows] * (x[rows] - mean[:, None]) ** 2).sum(1)
        return GaussianStatistics(count, mean, scatter)

    close(apart(slice(0, 15)) + apart(slice(15, 40)), apart(slice(0, 40)))


@FORMS
def test_products_have_the_form_of_the_scatter(diagonal, tied):
    statistics = statistics_of(torch.randn(9, 3).double(), torch.rand(2, 9).double(), diagonal, tied)
    step, weights = np.random.default_rng(0).normal(size=(2, 3)), np.array([[2.0], [5.0]])
    expected = np.stack([w * np.outer(s, s) for s, w in zip(step, weights[:, 0], strict=True)])
    expected = np.diagonal(expected, axis1=1, axis2=2) if diagonal else expected
    found = statistics.products(torch.from_numpy(step), torch.from_numpy(weights))
    np.testing.assert_allclose(found, expected.sum(0, keepdims=True) if tied else expected)


def test_those_of_a_mixture_add_and_scale():
    parts = statistics_of(torch.randn(9, 3).double(), torch.rand(2, 9).double(), False, False)
    one = MixtureStatistics(parts.count[:, 0], parts, torch.tensor(-3.0), torch.tensor(9.0))
    twice, sum_of_two = one * 2.0, one + one
    for name in ("count", "log_likelihood", "weight"):
        torch.testing.assert_close(getattr(twice, name), getattr(sum_of_two, name))
    close(twice.parts, sum_of_two.parts)


def test_sums_of_features_add_up():
    one, other = torch.rand(2, 3), torch.rand(2, 3)
    total = DiscreteStatistics(one) + DiscreteStatistics(other) * 2.0
    torch.testing.assert_close(total.sums, one + 2.0 * other)


def test_products_do_not_mix_parts():
    one = ProductStatistics((DiscreteStatistics(torch.ones(1, 1)), DiscreteStatistics(torch.zeros(1, 2))))
    total = one + one * 3.0
    assert total.parts[0].sums.item() == 4.0
    assert total.parts[1].sums.tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="zip"):
        one + ProductStatistics(one.parts[:1])
