"""Running means against numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logpx.scoring.running_mean import RunningMean


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=7), min_size=1, max_size=6))
def test_batches_give_the_mean_of_all_numbers(batches: list[list[float]]) -> None:
    mean = RunningMean()
    for batch in batches:
        mean.add(torch.tensor(batch, dtype=torch.float64))
    numbers = np.array([number for batch in batches for number in batch])
    assert mean.count == len(numbers)
    if len(numbers):
        assert mean.value == pytest.approx(numbers.mean(), abs=1e-8, rel=1e-12)
    if len(numbers) > 1:
        expected = numbers.std(ddof=1) / len(numbers) ** 0.5
        assert mean.standard_error == pytest.approx(expected, abs=1e-6, rel=1e-9)


def test_one_impossible_row_makes_the_mean_minus_infinity_for_good() -> None:
    mean = RunningMean()
    for batch in ([1.0, 2.0], [-math.inf, 0.0], [3.0]):
        mean.add(torch.tensor(batch))
    assert mean.value == -math.inf
    assert mean.count == 5


def test_one_number_has_no_standard_error() -> None:
    mean = RunningMean()
    mean.add(torch.tensor([4.0]))
    assert mean.standard_error == math.inf
