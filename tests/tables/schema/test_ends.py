"""Where columns end: claimed where the values show it, and left open where a later row may lie beyond."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from logpx.tables import Column, Kind, infer_schema

N = 1000


def ends(values, **options):
    (column,) = infer_schema({"a": values}, **options).columns
    return column.lower, column.upper


def draws(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 1, 1]), (0.0, 1.0)),
        ((draws().random(N) < 0.009).astype(int), (0.0, 1.0)),
        (draws().integers(1, 7, N), (1.0, 6.0)),
        (draws().choice(np.arange(1, 7), N, p=[0.002, 0.048, 0.2, 0.3, 0.25, 0.2]), (1.0, 6.0)),
        (draws().integers(-2, 3, N), (-2.0, 2.0)),
        (draws().integers(1, 11, N) / 2, (0.5, 5.0)),
        (draws().poisson(2.0, N), (0.0, None)),
        (draws().geometric(0.3, N), (1.0, None)),
        (1990 + draws().binomial(30, 0.5, N), (0.0, None)),
        (draws().normal(0, 5, N).round(), (None, None)),
        (draws().normal(0, 5, N).round(2), (None, None)),
        (draws().normal(0, 5, N), (None, None)),
        (np.minimum(draws().normal(40, 14, N).round(), 60), (None, 60.0)),
        (np.array([0, 2, 1, 4]), (None, None)),
        (np.array([0, 2, 1, 4] * 3), (0.0, None)),
        (np.where(draws().random(N) < 0.3, 0.0, draws().gamma(2.0, 9.0, N).round(2)), (0.0, None)),
        (np.maximum(draws().lognormal(0.0, 2.0, N), 0.5), (0.5, None)),
        (np.clip(draws().normal(60, 50, 30), 0, 100), (0.0, 100.0)),
        (np.clip(draws().normal(60, 50, 40), 0, 100).round(1), (0.0, 100.0)),
        (np.clip(draws(1).normal(0, 1, 40), -1.2, None), (-1.2, None)),
        (draws(2).integers(1, 11, 30) / 2, (0.5, 5.0)),
        (draws(3).integers(1, 11, 15) / 2, (0.0, None)),
    ],
    ids=[
        "0 and 1",
        "rare ones",
        "dice",
        "rare first grade",
        "around 0",
        "half stars",
        "counts",
        "counts from 1",
        "years",
        "rounded",
        "cents",
        "smooth",
        "top-coded",
        "four rows",
        "few rows",
        "amounts",
        "detection limit",
        "few percentages",
        "few rounded percentages",
        "small detection limit",
        "few half stars",
        "half stars of few rows",
    ],
)
def test_ends(values, expected):
    assert ends(values) == expected


@pytest.mark.parametrize(
    "family", [stats.poisson(0.5), stats.poisson(3.0), stats.geom(0.5), stats.nbinom(1, 0.3)]
)
def test_a_tail_that_goes_on_is_seldom_taken_for_an_end(family):
    columns = [family.rvs(300, random_state=seed) for seed in range(60)]
    wrong = [family.sf(upper) for upper in (ends(values)[1] for values in columns) if upper is not None]
    assert len(wrong) <= 4
    assert all(beyond < 0.02 for beyond in wrong)


@pytest.mark.parametrize("rows", [30, 60, 100, 149, 500])
@pytest.mark.parametrize(("first", "last"), [(1, 5), (1, 6), (1, 7), (-3, 3), (0, 10)])
def test_grades_about_the_middle_of_a_scale_end_with_it(first, last, rows):
    middle, random = (first + last) / 2, draws(rows)
    values = np.clip(random.normal(middle, (last - first) / 6, rows).round(), first, last)
    lower, upper = ends(values)
    assert upper == max(values.max(), -values.min())
    assert first <= lower <= values.min()


@pytest.mark.parametrize("rows", [30, 100])
def test_counts_and_years_are_no_grades(rows):
    columns = [stats.poisson(1.0), stats.nbinom(1, 0.4), stats.binom(6, 0.5, loc=2001)]
    known = [ends(family.rvs(rows, random_state=1)) for family in columns]
    assert known == [(0.0, None)] * 3


def test_a_user_may_claim_other_ends_or_none():
    dice = draws().integers(1, 7, N)
    assert ends(dice, overrides={"a": "bounded:0:9"}) == (0.0, 9.0)
    assert ends(dice, overrides={"a": "continuous"}) == (None, None)
    assert ends(dice, overrides={"a": "integer"}) == (1.0, 6.0)
    assert ends(dice, overrides={"a": Column(name="a", kind=Kind.INTEGER, upper=None)}) == (1.0, None)


def test_the_reason_is_stated():
    (column,) = infer_schema(pd.DataFrame({"a": draws().integers(1, 7, N)})).columns
    assert "none outside 1 to 6" in column.reason


def five_digits(x):
    """Return numbers as printed with five significant digits: too fine for a grid, and some repeat."""
    return np.array([float(f"{value:.5g}") for value in x])


def test_a_largest_value_that_repeats_as_others_do_is_no_end():
    values = five_digits(draws().uniform(-1.7, 1.7, 20_000))
    values = np.append(values, [values.max()] * 4)
    assert ends(values) == (None, None)


def test_an_end_of_rounded_numbers_is_shared_by_many_rows():
    assert ends(np.minimum(five_digits(draws().uniform(-1.7, 1.7, 20_000)), 1.5)) == (None, 1.5)
