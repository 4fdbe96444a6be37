"""The parts of the search for modes: climbs, images, wide draws, tempering, and what is still unseen."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, rosen, rosen_der
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor
from torch.distributions import Normal

from logpx.distributions import Flow
from logpx.posteriors import Positive, Simplex
from logpx.posteriors.approximations.expansion import Expansion
from logpx.posteriors.approximations.families import SphericalT, normal, units_of
from logpx.posteriors.approximations.symmetries import images_of
from logpx.posteriors.approximations.tempering import temper
from logpx.posteriors.approximations.unmet_modes import share_at_unmet_modes
from logpx.posteriors.approximations.wide_draws import WideDraws
from logpx.posteriors.diagnostics.beyond import share_beyond
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.target.climbs import climb, values_at
from logpx.posteriors.target.hints import Hints
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.target import Target


def rosenbrock(x: Tensor) -> Tensor:
    return -(100.0 * (x[:, 1:] - x[:, :-1].square()).square() + (1.0 - x[:, :-1]).square()).sum(1)


def test_climbs_end_where_those_of_scipy_do():
    starts = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    found = climb(Target(rosenbrock, 3), starts)
    assert bool(found.converged.all())
    for start, end in zip(starts, found.points, strict=True):
        known = minimize(rosen, start.numpy(), jac=rosen_der, method="BFGS", options={"gtol": 1e-8})
        np.testing.assert_allclose(end.numpy(), known.x, atol=1e-3)


def test_climbs_and_values_survive_a_function_that_fails_at_some_points():
    def density(x: Tensor) -> Tensor:
        if bool((x > 3.0).any()):
            raise ValueError("out of range")
        return Normal(1.0, 1.0).log_prob(x).sum(1)

    target = Target(density, 1, vectorised=True)
    points = torch.tensor([[0.0], [5.0], [2.0]]).double()
    values = values_at(target, points)
    assert values.isfinite().tolist() == [True, False, True]
    ends = climb(target, points[values.isfinite()])
    assert ends.points.tolist() == [pytest.approx([1.0], abs=1e-4)] * 2


def test_labels_change_places_in_all_parameters_that_have_them():
    parameters = Parameters({"scale": Positive(3), "share": Simplex(3)})
    values = {"scale": torch.tensor([[1.0, 2.0, 4.0]]), "share": torch.tensor([[0.2, 0.3, 0.5]])}
    point = parameters.unconstrain({name: value.double() for name, value in values.items()})[0]
    natural, _ = parameters.constrain(images_of(point, parameters))
    both = torch.cat([natural["scale"], natural["share"]], 1)
    expected = torch.tensor([2.0, 1.0, 4.0, 0.3, 0.2, 0.5]).double()
    assert bool((both - expected).abs().amax(1).lt(1e-6).any())


def test_wide_draws_have_the_density_of_their_mixture():
    means = torch.tensor([[0.0, 0.0], [3.0, -1.0]]).double()
    factors = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.2, 0.0], [0.0, 0.4]]]).double()
    wide = WideDraws(means, factors)
    points = wide.sample(50, torch.Generator().manual_seed(0))
    middle, spread = means.mean(0), (means - means.mean(0)).square().mean(0).sqrt().clamp_min(1.0)
    parts = [*zip(means, factors, strict=True), (middle, 0.35 * spread.diag())]
    widths = [1.5**step for step in range(12)] + [1.5**11 * 3.0**step for step in range(1, 5)]
    each = [
        multivariate_normal.logpdf(points, mean, (width * factor) @ (width * factor).mT)
        for mean, factor in parts
        for width in widths
    ]
    np.testing.assert_allclose(
        wide.log_prob(points), logsumexp(each, axis=0) - math.log(len(each)), atol=1e-9
    )


def test_particles_find_the_evidence_and_the_shares_of_modes():
    def density(x: Tensor) -> Tensor:
        heavy = Normal(6.0, 0.5).log_prob(x).sum(1) + math.log(0.8)
        return torch.logaddexp(heavy, Normal(-6.0, 1.0).log_prob(x).sum(1) + math.log(0.2)) + 3.0

    start = Flow(SphericalT(3, 5.0, 6.0).double(), units_of(torch.zeros(3), torch.eye(3)))
    found = temper(start, Target(density, 3), 2000, seed=0)
    assert found.finished
    assert found.log_evidence == pytest.approx(3.0, abs=4.0 * found.error)
    assert float((found.u[:, 0] > 0.0).double().mean()) == pytest.approx(0.8, abs=0.08)


def test_particles_that_run_out_of_time_say_so():
    start = normal(torch.zeros(1), torch.eye(1))
    assert not temper(start, Target(lambda x: Normal(50.0, 0.1).log_prob(x).sum(1), 1), 100, 0, 0.0).finished


def test_draws_about_the_middle_meet_narrow_modes_that_wide_draws_do_not():
    generator = torch.Generator().manual_seed(0)
    places = 20.0 * torch.randn(2, 20, generator=generator).double()
    widths = torch.tensor([1.5, 0.9]).double()
    wide = WideDraws(places[:1], 1.5 * torch.eye(20).double()[None])

    def met(points: Tensor) -> int:
        densities = Normal(places, widths[:, None]).log_prob(points[:, None]).sum(-1)
        return int((densities[:, 1] > densities[:, 0]).sum())

    assert met(wide.sample(20_000, generator)) < 5
    assert met(wide.sample_about_the_middle(20_000, Hints.none(20), generator)) > 20


@pytest.mark.parametrize(
    ("dim", "widths", "least", "most"),
    [
        # Copies of one mode hide no other copy.
        (20, (1.0, 1.0, 1.0), 0.0, 0.01),
        (20, (1.7, 1.3, 1.0), 0.1, 0.9),
        (2, (1.7, 1.3, 1.0), 0.0, 0.01),
        # A single mode says nothing of others.
        (20, (1.0,), 0.0, 0.0),
    ],
)
def test_modes_that_would_not_have_been_met_are_counted(dim: int, widths, least: float, most: float):
    generator = torch.Generator().manual_seed(0)
    places = 20.0 * torch.randn(len(widths), dim, generator=generator).double()
    modes = [
        Expansion(place, width * torch.eye(dim).double(), 0.0)
        for place, width in zip(places, widths, strict=True)
    ]
    points = 20.0 * torch.randn(20_000, dim, generator=generator).double()
    explained = torch.stack([mode.normal.log_prob(points) for mode in modes]).logsumexp(0)
    assert least <= share_at_unmet_modes(modes, points, explained, 3.0) <= most


def test_no_modes_are_imagined_where_the_known_ones_explain_all():
    # On a plateau, climbs end where they began, and every point has the curvature of the whole.
    modes = [Expansion(torch.tensor([x]).double(), 1.8 * torch.eye(1).double(), 1.5) for x in (-1.2, 0, 1.2)]
    points = 2.0 * torch.randn(4096, 1, generator=torch.Generator().manual_seed(0)).double()
    explained = torch.stack([1.5 + mode.normal.log_prob(points) for mode in modes]).logsumexp(0)
    assert share_at_unmet_modes(modes, points, explained, 3.0) < 0.01


def test_mass_beyond_the_draws_is_measured():
    def density(x: Tensor) -> Tensor:
        spike = Normal(0.0, 0.05).log_prob(x).sum(1) + math.log(0.7)
        return torch.logaddexp(spike, Normal(0.0, 3.0).log_prob(x).sum(1) + math.log(0.3))

    q = normal(torch.zeros(10).double(), 0.05 * torch.eye(10).double())
    wide = normal(torch.zeros(10).double(), 3.0 * torch.eye(10).double())
    target = Target(density, 10)
    points = wide.sample(4000, seed=0)
    weighted = weigh(q, target, 4000, seed=1)
    found = share_beyond(weighted, q, points, target.log_prob(points), wide.log_prob(points))
    assert found == pytest.approx(0.3, abs=0.02)
    right = share_beyond(weigh(wide, target, 4000, 1), wide, points[:0], points[:0, 0], points[:0, 0])
    assert right == 0.0
