"""Conformal p-values against their definition, and Benjamini and Hochberg's procedure against scipy's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from logpx.errors import UsageError
from logpx.scoring import Calibration, benjamini_hochberg

SCORES = st.lists(st.integers(-5, 5).map(float) | st.just(-math.inf), min_size=1, max_size=40)


@given(SCORES, SCORES)
def test_p_value_is_the_share_of_rows_that_score_as_low(aside: list[float], new: list[float]) -> None:
    found = Calibration.of(torch.tensor(aside)).p_values(torch.tensor(new))
    expected = [(1 + sum(a <= b for a in aside)) / (1 + len(aside)) for b in new]
    np.testing.assert_allclose(found.numpy(), expected)


def test_a_row_that_scores_lower_by_rounding_alone_is_no_less_usual() -> None:
    aside = torch.tensor(np.random.default_rng(2).normal(size=50))
    calibration = Calibration.of(aside)
    assert torch.equal(calibration.p_values(aside), calibration.p_values(aside * (1.0 - 1e-14)))
    assert torch.equal(calibration.p_values(aside), calibration.p_values(aside - 1e-14))


def test_p_values_of_many_rows_are_exact_where_low_and_never_too_low_elsewhere() -> None:
    random = np.random.default_rng(0)
    aside, new = torch.tensor(random.normal(size=50_000)), torch.tensor(random.normal(size=20_000))
    calibration = Calibration.of(aside)
    exact = (1 + torch.searchsorted(aside.sort().values, new, right=True)).double() / (1 + len(aside))
    found = calibration.p_values(new)
    assert calibration.rows == 50_000
    assert len(calibration.scores) == 10_000
    low = exact < 0.09
    assert torch.equal(found[low], exact[low])
    assert bool((found >= exact).all())
    assert float((found - exact).max()) < 3e-4


def test_p_values_of_rows_of_the_same_kind_are_uniform() -> None:
    random = np.random.default_rng(1)
    p_values = [
        Calibration.of(torch.tensor(random.gamma(0.3, size=99))).p_values(
            torch.tensor(random.gamma(0.3, size=1))
        )
        for _ in range(2000)
    ]
    assert stats.kstest(torch.cat(p_values).numpy() - 0.005, "uniform").pvalue > 1e-3


def test_ties_that_are_broken_at_random_leave_p_values_uniform() -> None:
    random = np.random.default_rng(3)
    ranks = []
    for _ in range(3000):
        aside, new = torch.tensor(random.integers(0, 3, 19)).double(), torch.tensor([random.integers(0, 3)])
        ties = torch.tensor(random.random(1))
        ranks.append(20 * float(Calibration.of(aside).p_values(new.double(), ties)))
    counts = np.bincount(np.rint(ranks).astype(int), minlength=21)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-3


@given(SCORES, SCORES, st.floats(0.0, 1.0))
def test_a_broken_tie_lies_between_those_that_score_less_and_those_that_score_as_low(
    aside: list[float], new: list[float], tie: float
) -> None:
    found = Calibration.of(torch.tensor(aside)).p_values(torch.tensor(new), torch.full((len(new),), tie))
    low = [(1 + sum(a < b for a in aside)) / (1 + len(aside)) for b in new]
    high = [(1 + sum(a <= b for a in aside)) / (1 + len(aside)) for b in new]
    assert (found.numpy() >= np.array(low) - 1e-12).all()
    assert (found.numpy() <= np.array(high) + 1e-12).all()


def test_no_score_has_no_p_value_and_an_impossible_row_has_the_least() -> None:
    calibration = Calibration.of(torch.arange(9.0))
    p_values = calibration.p_values(torch.tensor([math.nan, -math.inf]))
    assert math.isnan(p_values[0])
    assert float(p_values[1]) == calibration.least == 0.1


@pytest.mark.parametrize("scores", [torch.empty(0), torch.tensor([1.0, math.nan])])
def test_scores_that_are_none_are_refused(scores: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="no scores to calibrate by"):
        Calibration.of(scores)


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=60), st.sampled_from([0.01, 0.05, 0.2]))
def test_selection_is_that_of_scipy(p_values: list[float], level: float) -> None:
    adjusted = stats.false_discovery_control(p_values)
    clear = np.abs(adjusted - level) > 1e-12
    assert (benjamini_hochberg(p_values, level)[clear] == (adjusted <= level)[clear]).all()


def test_rows_without_a_p_value_are_not_selected() -> None:
    assert benjamini_hochberg([math.nan, 0.01, 0.9], 0.05).tolist() == [False, True, False]
    assert benjamini_hochberg([], 0.05).tolist() == []


@pytest.mark.parametrize("level", [0, 1, -0.1, "0.05", math.nan, True])
def test_a_level_that_is_none_is_refused(level: object) -> None:
    with pytest.raises(UsageError, match="level is"):
        benjamini_hochberg([0.5], level)  # type: ignore[arg-type]


def test_false_discoveries_are_kept_at_the_level() -> None:
    random, shares = np.random.default_rng(2), []
    for _ in range(300):
        calibration = Calibration.of(torch.tensor(random.normal(size=1000)))
        scores = np.concatenate([random.normal(size=180), random.normal(-5.0, size=20)])
        found = benjamini_hochberg(calibration.p_values(torch.tensor(scores)), 0.1)
        shares.append(found[:180].sum() / max(1, found.sum()))
    assert np.mean(shares) < 0.09 + 3 * np.std(shares) / math.sqrt(300)
