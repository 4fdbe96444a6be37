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


def test_a_value_that_several_draws_have_holds_their_share_wherever_it_is() -> None:
    # Fewer than the square root of their number, and far from all others.
    drawn = torch.cat([draws(1000).mul(10.0).round(), torch.full((8,), 99_999.0, dtype=torch.float64)])
    x = torch.tensor([99_999.0, 99_998.0], dtype=torch.float64)
    at, beside = neighbour_density(x, drawn, 1.0).tolist()
    assert math.isclose(at, 8 / 1008)
    assert beside < 1e-5


def test_missing_values_stay_missing_and_without_draws_nothing_is_likely() -> None:
    x = torch.tensor([torch.nan, 0.0], dtype=torch.float64)
    for drawn in (draws(50), draws(0)):
        found = neighbour_density(x, drawn)
        assert found.isnan().tolist() == [True, False]
        assert float(found[1]) > 0.0
