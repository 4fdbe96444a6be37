"""Angles: densities on circles, held against closed forms."""

import math

import pytest
import torch
from scipy.special import ive

from logpx.posteriors import Circular, Interval, Real, Stacked, Trust, evidence_from_draws, posterior
from logpx.posteriors.diagnostics.summaries import circular_mean


def log_von_mises(concentration: float) -> float:
    """Return the log of the integral of exp(κ cos θ) over a circle."""
    return math.log(2.0 * math.pi * ive(0, concentration)) + concentration


@pytest.mark.parametrize("concentration", [0.0, 0.5, 50.0])
def test_a_mode_at_the_seam_is_one_mode(concentration: float):
    found = posterior(
        lambda theta: concentration * torch.cos(theta["angle"] - math.pi), parameters={"angle": Circular()}
    )
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert found.log_evidence == pytest.approx(log_von_mises(concentration), abs=0.02)
    if concentration > 0.0:
        assert len(found.landscape.main_modes) == 1
    angles = found.sample(2000, resampled=True)["angle"]
    assert float(angles.min()) >= -math.pi
    assert float(angles.max()) < math.pi
    if concentration == 50.0:
        row = found.summary()["angle"]
        # Not 0, where the plain mean of ±π is, and not 180 degrees wide.
        assert abs(abs(row.mean) - math.pi) < 0.02
        assert row.standard_deviation == pytest.approx(1.0 / math.sqrt(50.0), rel=0.05)
        assert row.quantiles[0] > 2.5
        assert row.quantiles[2] < -2.5


def test_a_periodic_likelihood_of_another_period():
    # exp(−10 sin²(θ / 2)) in degrees: a von Mises density with κ = 5.
    found = posterior(
        lambda theta: -10.0 * torch.sin(torch.deg2rad(theta["a"]) / 2.0).square(),
        parameters={"a": Circular(0.0, 360.0)},
    )
    exact = log_von_mises(5.0) - 5.0 + math.log(180.0 / math.pi)
    assert found.log_evidence == pytest.approx(exact, abs=0.02)
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert len(found.landscape.main_modes) == 1
    # The density of the draws is one on the circle.
    grid = 0.5 + torch.arange(360).double()
    assert float(found.log_prob({"a": grid}).exp().sum()) == pytest.approx(1.0, abs=0.01)


def test_two_opposite_modes_have_half_of_the_mass_each():
    found = posterior(
        lambda theta: 8.0 * torch.cos(2.0 * theta["a"]), parameters={"a": Circular(0.0, 2.0 * math.pi)}
    )
    assert found.log_evidence == pytest.approx(log_von_mises(8.0), abs=0.02)
    assert found.diagnosis.trust is not Trust.DO_NOT
    near = (torch.cos(found.sample(4000, resampled=True)["a"]) > 0.0).double().mean()
    assert float(near) == pytest.approx(0.5, abs=0.05)


def test_an_angle_beside_a_number():
    found = posterior(
        lambda theta: 4.0 * torch.cos(theta["a"] - 3.0 - theta["x"]) - 2.0 * theta["x"].square(),
        parameters={"a": Circular(), "x": Real()},
    )
    exact = log_von_mises(4.0) + 0.5 * math.log(math.pi / 2.0)
    assert found.log_evidence == pytest.approx(exact, abs=0.02)
    assert found.diagnosis.trust is not Trust.DO_NOT


@pytest.mark.slow
def test_several_angles_have_a_cut_each():
    centres = torch.tensor([[0.0, 3.1], [-3.1, 1.5]]).double()
    found = posterior(
        lambda theta: 20.0 * torch.cos(theta["a"] - centres).sum((-1, -2)),
        parameters={"a": Stacked(Circular(shape=2), 2)},
    )
    assert found.log_evidence == pytest.approx(4.0 * log_von_mises(20.0), abs=0.02)
    assert len(found.landscape.main_modes) == 1
    assert found.summary()["a[1, 0]"].mean == pytest.approx(-3.1, abs=0.03)


def test_draws_from_elsewhere_may_lie_on_both_sides_of_the_seam():
    torch_draws = torch.distributions.VonMises(torch.tensor(3.14).double(), torch.tensor(4.0).double())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        angles = torch_draws.sample((4000,))
    found = evidence_from_draws(
        lambda theta: 4.0 * torch.cos(theta["a"] - 3.14), {"a": angles}, parameters={"a": Circular()}
    )
    assert found.log_evidence == pytest.approx(log_von_mises(4.0), abs=0.03)
    assert found.trust is Trust.TRUST


@pytest.mark.parametrize("centre", [0.0, 2.0, 170.0])
def test_copies_of_a_value_have_the_whole_weight_together(centre: float):
    angle = Circular(-180.0, 180.0).with_cut_away_from(
        torch.tensor([[centre]]).double(), torch.ones(1), torch.ones(1, 1)
    )
    u = torch.linspace(-170.0, 170.0, 9).double()[:, None]
    total = sum(angle.constrain(u + 360.0 * turn)[1].exp() for turn in range(-3, 4))
    torch.testing.assert_close(total, torch.ones(9).double())
    torch.testing.assert_close(angle.constrain(angle.unconstrain(u))[0][:, None], u)
    # Draws are moved to a copy as often as its weight says.
    u = angle.unconstrain(torch.tensor([[centre - 160.0]]).double()).expand(4000, 1)
    moved = angle.spread(u, torch.Generator().manual_seed(0))
    share = float((moved != u).double().mean())
    assert share == pytest.approx(1.0 - float(angle.constrain(u[:1])[1].exp()), abs=0.02)


def test_the_end_of_a_period_is_its_beginning():
    angle = Circular(0.0, 360.0)
    u = torch.tensor([[360.0], [-1e-20], [720.0]]).double()
    assert angle.constrain(u)[0].tolist() == [0.0, 0.0, 0.0]


def test_the_mean_of_directions():
    angles, weights = torch.tensor([350.0, 30.0]).double(), torch.tensor([0.5, 0.5]).double()
    assert circular_mean(angles, weights, 0.0, 360.0) == pytest.approx(10.0)


def test_an_interval_is_no_circle():
    assert Interval(0.0, 1.0).circle is None
