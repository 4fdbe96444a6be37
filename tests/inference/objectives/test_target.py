"""Log-densities given as functions: what they may return, and the errors that name a point."""

import math

import numpy as np
import pytest
import torch

from logpx.distributions import StandardNormal
from logpx.errors import UsageError
from logpx.inference.objectives.target import checked_normaliser, evaluate_log_density

POINTS = torch.arange(8.0).view(4, 2)
ROWS = torch.Size([4])


def test_value_is_the_function_itself():
    expected = -POINTS.square().sum(-1)
    assert torch.equal(evaluate_log_density(lambda x: -x.square().sum(-1), POINTS, ROWS), expected)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: -x.square().sum(-1, keepdim=True), r"\(4, 1\)"),
        (lambda x: -x.square(), r"\(4, 2\)"),
        (lambda x: -x.square().sum(), r"shape \(\)"),
        (lambda x: np.zeros(4), "ndarray"),
        (lambda x: 0.0, "float"),
        (StandardNormal(2), "StandardNormal"),
        (1.0, "float"),
        (lambda x: -x.square().sum(-1) + 0j, "complex"),
    ],
)
def test_anything_but_one_number_per_point_is_refused(function, found):
    with pytest.raises(UsageError, match=found) as error:
        evaluate_log_density(function, POINTS, ROWS)
    assert error.value.fix


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_point_without_a_finite_value_is_named(value):
    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, 0] >= 4.0, value, x[:, 0])

    with pytest.raises(UsageError, match=r"\(4, 5\), and not finite at 2 of 4 points") as error:
        evaluate_log_density(function, POINTS, ROWS)
    assert error.value.row == 3
    assert str(value) in str(error.value)


def test_a_long_point_is_shortened():
    with pytest.raises(UsageError, match=r"\(1, 1, 1, 1, 1, 1, \.\.\.\)"):
        evaluate_log_density(lambda x: x[:, 0] * math.nan, torch.ones(2, 9), torch.Size([2]))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "0", None, torch.zeros(1), torch.tensor(math.nan)])
def test_a_normaliser_is_one_finite_number(wrong):
    with pytest.raises(UsageError, match="log_normaliser"):
        checked_normaliser(wrong)


@pytest.mark.parametrize("number", [0.0, -3, torch.tensor(2.5)])
def test_normalisers(number):
    assert checked_normaliser(number) is number
