import numpy as np
import pytest

from logpx.errors import UsageError
from logpx.training.split import MOST_VALIDATION_ROWS, row_keys, validation_count


def test_keys_are_distinct_and_look_uniform():
    keys = row_keys(np.arange(100_000), seed=5)
    assert len(np.unique(keys)) == 100_000
    share = keys.astype(np.float64) / 2.0**64
    # Mean and variance of a uniform number, at six standard errors.
    assert abs(share.mean() - 1 / 2) < 6 * np.sqrt(1 / 12 / 100_000)
    assert abs(share.var() - 1 / 12) < 6 * np.sqrt(1 / 180 / 100_000)
    assert abs(np.corrcoef(share[1:], share[:-1])[0, 1]) < 6 / np.sqrt(100_000)


def test_a_key_depends_on_seed_and_row_alone():
    rows = np.array([3, 70_000, 5])
    keys = row_keys(np.arange(100_000), seed=1)
    assert (row_keys(rows, seed=1) == keys[rows]).all()
    assert (row_keys(rows, seed=2) != keys[rows]).all()
    assert (row_keys(rows, seed=-1) != keys[rows]).all()


@pytest.mark.parametrize(
    ("rows", "fraction", "count"),
    [
        (9, None, 0),
        (10, None, 2),
        (5000, None, 500),
        (10**9, None, MOST_VALIDATION_ROWS),
        (100, 0.3, 30),
        (100, 0.0, 0),
        (10, 0.99, 8),
        (10**9, 0.5, MOST_VALIDATION_ROWS),
    ],
)
def test_validation_count(rows, fraction, count):
    assert validation_count(rows, fraction) == count


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_impossible_fraction(fraction):
    with pytest.raises(UsageError, match="validation fraction"):
        validation_count(100, fraction)
