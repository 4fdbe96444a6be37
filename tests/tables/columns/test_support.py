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


def test_extents_end_at_cells_of_the_grid():
    assert Support(lower=0.0, upper=1.0, step=0.5, offset=0.25).extent == (0.0, 1.0)
    assert Support(lower=0.0, step=0.5, uniform=False).extent == (0.0, None)
    with pytest.raises(UsageError, match="no point of the grid"):
        Support(lower=0.2, upper=0.8, step=1.0)


def test_noise_stays_within_the_bounds_and_values_beyond_them_stay_beyond():
    support = Support(lower=0.0, upper=2.0, step=1.0, rounding=0.01)
    noise = torch.linspace(0.0, 1.0 - 1e-9, 101, dtype=torch.float64)
    for value in (0.0, 2.0, -0.01 + 0.01, 1.99):
        noisy = support.dequantise(torch.full_like(noise, value), noise)
        assert ((noisy > -0.5) & (noisy < 2.5)).all()
    for value in (-1.0, -0.2, 2.2, 3.0):
        noisy = support.dequantise(torch.full_like(noise, value), noise)
        assert ((noisy <= -0.5) | (noisy >= 2.5)).all()


@pytest.mark.parametrize("atom", [0.0, -3.0, 1e-300, 0.1, 1e12])
def test_an_atom_is_spread_over_a_cell_of_its_own_and_found_again(atom):
    support = Support(atoms=[atom])
    noise = torch.linspace(0.0, 1.0 - 1e-9, 1001, dtype=torch.float64)
    noisy = support.dequantise(torch.full_like(noise, atom), noise)
    assert len(noisy.unique()) == 1001
    assert (support.snap(noisy) == atom).all()
    width = float(noisy.max() - noisy.min())
    assert math.isclose(math.exp(float(support.log_width(noisy)[0])), width, rel_tol=0.01)
    other = torch.tensor([atom + 1e-3 * abs(atom) + 1e-100], dtype=torch.float64)
    assert torch.equal(support.snap(support.dequantise(other, noise[:1])), other)
    assert support.log_width(other).item() == 0.0


def test_a_bound_without_a_grid_is_open_unless_it_is_an_atom():
    x = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    assert Support(lower=0.0, upper=1.0, atoms=[0.0]).on_an_open_end(x).tolist() == [False, False, True]
    assert not Support(lower=0.0, upper=1.0, step=0.5).on_an_open_end(x).any()


@pytest.mark.parametrize(
    ("lower", "atoms"), [(None, [1.0, 0.0]), (None, [1.0, 1.0]), (0.5, [0.0]), (None, [math.nan])]
)
def test_impossible_atoms_are_refused(lower, atoms):
    with pytest.raises(UsageError, match="the atoms"):
        Support(lower=lower, atoms=atoms)
