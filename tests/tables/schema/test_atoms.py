"""Single values that hold mass are told from grids, and neither is invented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logpx.tables import infer_schema
from logpx.tables.schema.atoms import detect_cells
from logpx.tables.schema.grids import Grid

generator = np.random.default_rng(1)
N = 2000
gamma = generator.gamma(2.0, 1.0, N)
normal = generator.normal(size=N)
share = generator.random(N)


@pytest.mark.parametrize(
    ("values", "atoms"),
    [
        (np.where(share < 0.7, 0.0, gamma), [0.0]),
        (np.where(share < 0.02, 0.0, gamma), [0.0]),
        (np.where(share < 0.001, 0.0, gamma), []),
        (np.append(gamma[:40], [0.0] * 3), [0.0]),
        (np.maximum(normal, -0.3), [-0.3]),
        (np.clip(normal, -1.0, 1.5), [-1.0, 1.5]),
        (np.where(share < 0.2, 1 / 3, np.where(share < 0.3, -2.5, normal)), [-2.5, 1 / 3]),
        (normal, []),
    ],
    ids=[
        "zero-inflated",
        "few zeros",
        "two zeros",
        "three of 43",
        "detection limit",
        "clipped",
        "within",
        "none",
    ],
)
def test_atoms_of_values_without_a_grid(values, atoms):
    grid, found = detect_cells(values)
    assert grid is None
    assert found == pytest.approx(atoms)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.where(share < 0.7, 0.0, gamma.round(2)), 0.01),
        (np.where(share < 0.7, 0.0, np.floor(1000 * gamma)), 1.0),
        (np.clip(normal, -1.0, 1.0).round(1), 0.1),
    ],
    ids=["cents", "whole", "clipped decimals"],
)
def test_values_on_a_grid_need_no_atoms(values, step):
    assert detect_cells(values) == (Grid(step, 0.0), [])


def test_the_grid_of_other_values_is_found_without_the_atoms():
    prices = gamma.round(2)
    filled = np.where(share < 0.2, prices.mean() + 1 / 7000, prices)
    grid, atoms = detect_cells(filled)
    assert grid == Grid(0.01, 0.0)
    assert atoms == [prices.mean() + 1 / 7000]


def test_results_of_the_same_sum_in_another_order_are_one_atom():
    values = np.concatenate([normal, [0.1 + 0.2] * 100, [0.3] * 100])
    assert len(detect_cells(values)[1]) == 1


@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(2, 25))
def test_few_values_without_a_grid_are_all_atoms(seed, levels):
    random = np.random.default_rng(seed)
    values = random.lognormal(0.0, 1.0, levels)
    column = np.concatenate([np.repeat(values, 20), random.choice(values, 100)])
    grid, atoms = detect_cells(column)
    assert atoms == sorted(values) if grid is None else grid.uniform


def test_the_schema_says_what_holds_mass_and_where_values_end():
    table = {"a": np.where(share < 0.7, 0.0, gamma), "b": np.clip(100 * normal, 0.0, 100.0)}
    a, b = infer_schema(table).columns
    assert (a.atoms, a.lower, a.upper, a.step) == ([0.0], 0.0, None, None)
    assert (b.atoms, b.lower, b.upper, b.step) == ([0.0, 100.0], 0.0, 100.0, None)
    assert f"mass of its own at 0 ({(table['a'] == 0).mean():.1%} of the rows)" in a.reason


def test_a_value_on_a_bound_is_an_atom_however_rare():
    values = np.append(generator.beta(0.5, 0.5, N), [1.0])
    (column,) = infer_schema({"a": values}).columns
    assert (column.lower, column.upper, column.atoms) == (0.0, 1.0, [1.0])
    (column,) = infer_schema({"a": normal**2}, {"a": f"bounded:0:{float((normal**2).max())!r}"}).columns
    assert column.atoms == [(normal**2).max()]


@pytest.mark.parametrize(
    ("mean", "decimals"),
    [(29.7, 0), (29.699118, 0), (29.69911764705882, 0), (29.699118, 2), (29.69911764705882, 2)],
)
def test_a_mean_that_was_filled_in_leaves_the_grid_of_the_others(mean: float, decimals: int):
    generator = np.random.default_rng(3)
    values = np.round(generator.integers(1, 8000, 600) / 100, decimals)
    grid, atoms = detect_cells(np.where(generator.random(600) < 0.2, mean, values))
    assert grid == Grid(10.0**-decimals, 0.0)
    assert atoms == [mean]


def test_few_whole_numbers_beside_a_mean_keep_theirs():
    # Nineteen whole numbers and 9.9372 lie near to a grid of 0.0048309, on which 12 was written 11.9999556.
    values = np.append(np.arange(19.0).repeat(20), np.full(100, 9.9372))
    assert detect_cells(values) == (Grid(1.0, 0.0), [9.9372])


def test_half_steps_are_no_strangers():
    values = np.repeat(np.arange(2.0, 11.0) / 2, 20)
    assert detect_cells(values) == (Grid(0.5, 0.0), [])
