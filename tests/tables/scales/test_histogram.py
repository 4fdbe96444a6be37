import numpy as np
import pytest

from logpx.errors import DataError
from logpx.tables.scales.histogram import Histogram
from logpx.tables.scales.sample import Sample


def histogram(values, step=1.0, offset=0.0, weights=None):
    return Histogram.of(Sample.of(values, weights), step, offset)


def test_masses_are_the_frequencies_of_the_cells():
    values = np.random.default_rng(0).binomial(6, 0.5, 5000).astype(float)
    result = histogram(values)
    np.testing.assert_array_equal(result.edges, np.arange(8) - 0.5)
    np.testing.assert_allclose(result.masses, np.bincount(values.astype(int)) / 5000, atol=1e-3)
    assert result.masses.sum() + sum(result.tails) == pytest.approx(1.0, abs=1e-12)


def test_dequantised_values_fall_into_the_same_cells():
    rng = np.random.default_rng(0)
    values = rng.poisson(3.0, 500) * 0.25 + 0.1
    noisy = values + 0.25 * (rng.random(500) - 0.5)
    plain, dequantised = histogram(values, 0.25, 0.1), histogram(noisy, 0.25, 0.1)
    np.testing.assert_allclose(dequantised.edges, plain.edges)
    np.testing.assert_allclose(dequantised.masses, plain.masses)


def test_gaps_keep_some_mass_and_seen_cells_keep_theirs():
    result = histogram([0.0] * 500 + [1.0] * 300 + [50.0] * 200)
    np.testing.assert_array_equal(result.edges, [-0.5, 0.5, 1.5, 49.5, 50.5])
    gap = result.masses[2]
    assert 0 < gap < 0.001
    np.testing.assert_allclose(result.masses[[0, 1, 3]], [0.5, 0.3, 0.2], atol=1e-3)


def test_many_rare_cells_are_pooled_and_a_frequent_one_stands_alone():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(20_000) < 0.5, 0.0, 1 + np.floor(rng.exponential(5000.0, 20_000)))
    result = histogram(values)
    zero = np.searchsorted(result.edges, 0.0) - 1
    assert (result.edges[zero], result.edges[zero + 1]) == (-0.5, 0.5)
    assert result.masses[zero] == pytest.approx((values == 0).mean(), abs=1e-3)
    assert len(result.masses) <= 202
    assert (result.masses > 0).all()
    # Each pool, over its own width, has about the density of the exponential.
    middles = (result.edges[1:-1] + result.edges[2:]) / 2
    expected = 0.5 * np.diff(np.exp(-np.maximum(result.edges[1:], 0.5) / 5000.0))
    bulk = middles < 10_000
    np.testing.assert_allclose(result.masses[1:][bulk], -expected[bulk], rtol=0.6)


def test_weights_count_as_rows():
    plain = histogram([0.0] * 30 + [1.0] * 10)
    weighted = histogram([0.0] * 10 + [1.0] * 10, weights=[3.0] * 10 + [1.0] * 10)
    np.testing.assert_allclose(weighted.masses / weighted.masses.sum(), plain.masses / plain.masses.sum())


def test_values_beyond_all_cells_are_refused():
    with pytest.raises(DataError, match="too large for the step"):
        histogram([0.0, 1e20])


def test_frequent_cells_keep_their_shares_when_many_others_were_seen_once():
    values = np.concatenate([np.zeros(900), 10.0 * np.arange(1, 101)])
    result = histogram(values)
    zero = np.searchsorted(result.edges, 0.0) - 1
    assert result.masses[zero] == pytest.approx(0.9, abs=2e-3)
    assert (result.masses > 0).all()


def test_cells_end_at_bounds():
    result = Histogram.of(Sample.of([3.0] * 5 + [4.0] * 15), 1.0, 0.0, -0.5, 4.5)
    assert result.tails == (0.0, 0.0)
    assert (result.edges[0], result.edges[-1]) == (-0.5, 4.5)
    assert result.masses.sum() == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(DataError, match="outside the bounds"):
        Histogram.of(Sample.of([3.0, 5.0]), 1.0, 0.0, -0.5, 4.5)
