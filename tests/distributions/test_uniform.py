"""The uniform distribution: its support."""

import math

import pytest
import torch

from logpx.distributions import Uniform
from logpx.errors import UsageError


def test_support():
    x = torch.tensor([[-2.0], [-1.0], [0.0], [3.0], [3.5]])
    inside = -math.log(4.0)
    expected = torch.tensor([-math.inf, inside, inside, inside, -math.inf])
    torch.testing.assert_close(Uniform(1, -1.0, 3.0).log_prob(x), expected)


def test_one_element_outside_is_enough():
    assert Uniform(2).log_prob(torch.tensor([[0.5, 1.5]])).item() == -math.inf


def test_samples_stay_inside():
    x = Uniform(2, -3.0, 5.0).sample(10_000, seed=0)
    assert ((x >= -3.0) & (x <= 5.0)).all()


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_an_interval_that_is_none(lower, upper):
    with pytest.raises(UsageError, match="uniform"):
        Uniform(1, lower, upper)
