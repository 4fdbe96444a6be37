"""Rows as numbers for mixtures: rarity of labels, and of grades that a normal distribution finds too far."""

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.latent.robust import VARIANCE
from logpx.tables import RowCoding


def grades(*shares: float) -> np.ndarray:
    """Return 1000 numbers from 1 on with these shares, in one column."""
    return np.repeat(np.arange(1.0, len(shares) + 1), (1000 * np.array(shares)).astype(int))[:, None]


def test_common_values_beyond_a_gap_are_as_strange_as_they_are_rare() -> None:
    x = grades(0.05, 0.05, 0.0, 0.3, 0.6)
    coding = RowCoding.of(x, [0])
    assert coding.grades == ((1.0, 2.0, 4.0, 5.0),)
    assert coding.numeric.tolist() == [False]
    found = coding(torch.tensor([[1.0], [2.0], [4.0], [5.0], [3.0], [np.nan]]))[:, 0]
    surprisals = (found[:4].square() / (2.0 * VARIANCE)).tolist()
    assert surprisals == pytest.approx(-np.log([0.05, 0.05, 0.3, 0.6]), abs=0.02)
    # What nobody had is stranger than all that somebody had.
    assert found[4] > found[:4].max()
    assert found[5].isnan()


@pytest.mark.parametrize(
    "x",
    [
        grades(0.06, 0.24, 0.4, 0.24, 0.06),
        grades(0.4, 0.3, 0.15, 0.05, 0.04, 0.03, 0.03),
        np.random.default_rng(0).poisson(4.0, (1000, 1)).astype(float),
        np.random.default_rng(0).normal(size=(1000, 1)),
        grades(0.1, 0.9),
        np.array([[1.0], [10.0], [100.0]]),
        np.full((10, 1), np.nan),
    ],
    ids=[
        "like a normal distribution",
        "a long tail",
        "counts",
        "real numbers",
        "two values",
        "three rows",
        "no value",
    ],
)
def test_other_numbers_stay_numbers(x: np.ndarray) -> None:
    coding = RowCoding.of(x, [0])
    assert coding.grades == ((),)
    assert coding.numeric.tolist() == [True]


def test_rows_count_by_their_weights() -> None:
    x = grades(0.05, 0.05, 0.0, 0.3, 0.6)
    weights = np.where(x[:, 0] < 3.0, 0.1, 1.0)
    assert RowCoding.of(x, [0], weights).grades == ((),)


@pytest.mark.parametrize(
    "wrong", [[[1.0]], [[2.0, 1.0], []], [[], [1.0, 2.0]], [[1.0, 1.0], []], [[1.0, np.nan], []]]
)
def test_grades_of_no_column_are_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="ascending"):
        RowCoding([0, 2], wrong)
