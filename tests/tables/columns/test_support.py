import math

import pytest
import torch

from logpx.configuration import build, describe
from logpx.errors import UsageError
from logpx.tables import Support


def test_the_cell_of_a_value_reaches_half_a_step_beyond_the_bounds():
    assert Support(lower=0.0, upper=10.0, step=1.0).extent == (-0.5, 10.5)
    assert Support(lower=0.0).extent == (0.0, None)


def test_snap_goes_to_the_grid_and_stays_within_the_bounds():
    support = Support(lower=0.25, upper=2.25, step=0.5, offset=0.25)
    x = torch.tensor([-3.0, 0.3, 0.9, 99.0], dtype=torch.float64)
    assert support.snap(x).tolist() == [0.25, 0.25, 0.75, 2.25]


def test_values_on_no_uniform_grid_are_only_clipped():
    support = Support(lower=0.0, step=0.5, uniform=False)
    x = torch.tensor([-3.0, 0.3], dtype=torch.float64)
    assert support.snap(x).tolist() == [0.0, x[1].item()]


def test_saved_as_plain_values():
    support = build(describe(Support(upper=2.0, step=0.1)), {"Support": Support})
    assert (support.lower, support.upper, support.step) == (None, 2.0, 0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"lower": 1.0, "upper": 1.0},
        {"lower": math.nan},
        {"upper": math.inf},
        {"step": 0.0},
        {"step": math.inf},
    ],
)
def test_impossible_supports_are_refused(arguments):
    with pytest.raises(UsageError):
        Support(**arguments)


def test_values_that_a_support_excludes():
    support = Support(lower=0.0, step=0.5)
    x = torch.tensor([-0.5, 0.0, 0.25, 1.5], dtype=torch.float64)
    assert support.outside(x).tolist() == [True, False, False, False]
    assert support.off_grid(x).tolist() == [False, False, True, False]
    assert not Support(step=0.5, uniform=False).off_grid(x).any()
