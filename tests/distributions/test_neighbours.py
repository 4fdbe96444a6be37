"""The density of a column by its nearest draws."""

import math

import torch
from scipy import stats

from logpx.distributions.neighbours import neighbour_density


def draws(count: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_is_near_the_density_that_was_drawn_from() -> None:
    x = torch.linspace(-2.0, 2.0, 21, dtype=torch.float64)
    ratio = neighbour_density(x, draws(20_000)).log() - torch.from_numpy(stats.norm.logpdf(x))
    assert float(ratio.abs().max()) < 0.3


def test_tails_fall_like_a_reciprocal() -> None:
    x = torch.tensor([1e3, 1e6], dtype=torch.float64)
    near, far = neighbour_density(x, draws(1000)).log().tolist()
    assert math.isclose(near - far, math.log(1e3), abs_tol=0.01)


def test_values_that_repeat_hold_their_share_and_lend_none_to_their_neighbours() -> None:
    # A few in the far, fewer than the square root of the number of draws, and many at 0.
    at_zero, far = torch.zeros(992, dtype=torch.float64), torch.full((8,), 99_999.0, dtype=torch.float64)
    others = draws(1000).mul(1e4).round()
    x = torch.tensor([99_999.0, 99_998.0, 0.0, 5.0], dtype=torch.float64)
    found = neighbour_density(x, torch.cat([at_zero, far, others]), 1.0)
    normal = 0.5 * stats.norm.pdf(x, scale=1e4)
    assert math.isclose(found[0], 8 / 2000, rel_tol=1e-3)
    assert found[1] < 1e-5
    assert math.isclose(found[2], 992 / 2000, rel_tol=1e-3)
    assert math.isclose(found[3], normal[3], rel_tol=0.4)


def test_where_all_values_of_a_grid_repeat_those_that_do_not_are_as_likely_as_their_neighbours() -> None:
    drawn = draws(2000).mul(10.0).round()
    x = torch.arange(-30.0, 31.0, dtype=torch.float64)
    ratio = neighbour_density(x, drawn[drawn != 20.0], 1.0).log() - torch.from_numpy(
        stats.norm.logpdf(x, scale=10.0)
    )
    assert float(ratio.abs().max()) < 1.0


def test_a_value_beyond_those_of_a_short_grid_is_unlikely_but_not_impossible() -> None:
    drawn = torch.arange(5.0, dtype=torch.float64).repeat(200)
    among, beyond = neighbour_density(torch.tensor([3.0, 40.0], dtype=torch.float64), drawn, 1.0).tolist()
    assert math.isclose(among, 0.2, rel_tol=0.1)
    assert 1e-6 < beyond < 1e-2


def test_missing_values_stay_missing_and_without_draws_nothing_is_likely() -> None:
    x = torch.tensor([torch.nan, 0.0], dtype=torch.float64)
    for drawn in (draws(50), draws(0)):
        found = neighbour_density(x, drawn)
        assert found.isnan().tolist() == [True, False]
        assert float(found[1]) > 0.0
