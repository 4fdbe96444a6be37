import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logpx.errors import DataError
from logpx.tables.scales.sample import Sample

VALUES = np.random.default_rng(0).gamma(2.0, 3.0, 501)


def test_moments_and_quantiles_are_those_of_numpy():
    sample = Sample.of(VALUES)
    assert sample.mean_and_deviation() == pytest.approx((VALUES.mean(), VALUES.std()), rel=1e-12)
    levels = np.linspace(0, 1, 21)
    np.testing.assert_allclose(sample.quantiles(levels), np.quantile(VALUES, levels, method="hazen"))


@given(st.lists(st.integers(0, 4), min_size=501, max_size=501).filter(lambda counts: sum(counts) > 100))
def test_whole_weights_are_repeated_rows(counts):
    weighted, repeated = Sample.of(VALUES, counts), Sample.of(np.repeat(VALUES, counts))
    assert weighted.mean_and_deviation() == pytest.approx(repeated.mean_and_deviation(), rel=1e-12)
    assert len(weighted) == np.count_nonzero(counts)


@pytest.mark.parametrize("centre", [0.0, 1e8, -1e12])
def test_a_small_deviation_far_from_zero_is_not_cancelled(centre):
    offsets = np.array([-1.0, 0.0, 1.0]) * 2.0**-10
    mean, deviation = Sample.of(centre + offsets).mean_and_deviation()
    assert mean == centre
    assert deviation == pytest.approx(2.0**-10 * np.sqrt(2 / 3), rel=1e-12)


def test_a_large_deviation_does_not_overflow():
    mean, deviation = Sample.of([-1.5e308, 1.5e308]).mean_and_deviation()
    assert mean == pytest.approx(0.0, abs=1e300)
    assert deviation == pytest.approx(1.5e308, rel=0.2)


def test_ties_do_not_make_the_spread_zero():
    assert Sample.of([0.0] * 99 + [1.0]).spread() > 0


def test_thinned_keeps_the_distribution():
    thinned = Sample.of(VALUES).thinned(100)
    assert len(thinned) == 100
    assert thinned.mean_and_deviation()[0] == pytest.approx(VALUES.mean(), rel=0.02)
    weighted = Sample.of(VALUES, np.ones(501)).thinned(100)
    assert weighted.weights.sum() == 501


def test_tensors_and_samples_are_taken():
    sample = Sample.of(torch.from_numpy(VALUES))
    assert Sample.of(sample) is sample
    assert np.array_equal(sample.values, np.sort(VALUES))


@pytest.mark.parametrize(
    ("values", "weights", "row"),
    [
        ([1.0, np.nan, 2.0], None, 2),
        ([1.0, 2.0, -np.inf], None, 3),
        ([1.0], None, None),
        ([3.0, 3.0], None, None),
        ([1.0, 2.0], [1.0], None),
        ([1.0, 2.0], [1.0, -1.0], None),
        ([1.0, 2.0], [1.0, 0.0], None),
    ],
)
def test_what_cannot_be_fitted_is_a_typed_error(values, weights, row):
    with pytest.raises(DataError) as error:
        Sample.of(values, weights)
    assert error.value.row == row
