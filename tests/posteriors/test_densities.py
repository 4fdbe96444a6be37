"""The ready log-densities against torch's distributions, quadrature, and values computed elsewhere."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from logpx.errors import UsageError
from logpx.posteriors import FullRank, ReverseKL, Trust, compare, densities, posterior


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(densities.funnel(2), marks=pytest.mark.slow),
        densities.banana(),
        pytest.param(densities.separated_modes(), marks=pytest.mark.slow),
    ],
    ids=["funnel", "banana", "separated modes"],
)
def test_those_with_a_known_integral_have_it(problem):
    axis = torch.linspace(-40.0, 40.0, 4001, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    total = torch.logsumexp(problem.log_density(points), 0) + 2.0 * math.log(0.02)
    # A part of the funnel lies further out, and a part is narrower than the grid.
    assert float(total) == pytest.approx(problem.log_evidence, abs=0.05)


def test_eight_schools_at_a_point_computed_elsewhere():
    theta = torch.tensor([[6.0, 5.0, 4.0, 5.0, 4.0, 4.0, 6.0, 5.0]]).double()
    shared = {"mean": torch.tensor([4.0]).double(), "spread": torch.tensor([4.0]).double()}
    centred = densities.eight_schools(centred=True).log_density({"schools": theta, **shared})
    other = densities.eight_schools().log_density({"raw": (theta - 4.0) / 4.0, **shared})
    # Those were computed with the Cauchy density as it is, not doubled for its half.
    assert float(centred) == pytest.approx(-54.423474 + math.log(2.0), abs=1e-5)
    assert float(other) == pytest.approx(-43.333119 + math.log(2.0), abs=1e-5)


def test_logistic_regression_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 3, generator=generator).double()
    y = (torch.rand(30, generator=generator) < 0.5).double()
    beta = torch.randn(5, 3, generator=generator).double()
    expected = Bernoulli(logits=beta @ x.mT).log_prob(y).sum(1) + Normal(0.0, 2.5).log_prob(beta).sum(1)
    torch.testing.assert_close(densities.logistic_regression(x, y).log_density(beta), expected)
    with pytest.raises(UsageError, match="shape"):
        densities.logistic_regression(x, y[:5])


def test_garch_is_the_recursion():
    y = torch.tensor([0.3, -1.2, 0.7, 2.0]).double()
    theta = {"mean": 0.1, "level": 0.4, "shock": 0.3, "remaining": 0.5}
    variance, expected = 1.0, math.log(1.0 - 0.3)
    for t in range(4):
        if t:
            variance = 0.4 + 0.3 * (float(y[t - 1]) - 0.1) ** 2 + 0.5 * 0.7 * variance
        expected += float(Normal(0.1, math.sqrt(variance)).log_prob(y[t]))
    given = {name: torch.tensor([value], dtype=torch.float64) for name, value in theta.items()}
    assert float(densities.garch(y).log_density(given)) == pytest.approx(expected, abs=1e-6)


def test_gaussian_process_regression_is_a_normal_distribution():
    x = torch.linspace(-1.0, 1.0, 6).double()
    y = torch.sin(3.0 * x)
    theta = {"length": 0.7, "amplitude": 1.3, "noise": 0.2}
    kernel = 1.69 * torch.exp(-0.5 * (x[:, None] - x).square() / 0.49) + (0.04 + 1e-10) * torch.eye(6)
    expected = MultivariateNormal(torch.zeros(6).double(), kernel).log_prob(y)
    for value in theta.values():
        expected = expected + torch.distributions.LogNormal(0.0, 1.0).log_prob(torch.tensor(value))
    given = {name: torch.tensor([value], dtype=torch.float64) for name, value in theta.items()}
    found = densities.gaussian_process_regression(x, y).log_density(given)
    assert float(found) == pytest.approx(float(expected), abs=1e-6)


def test_the_lattice_field_has_the_neighbours_of_a_torus():
    field = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()
    expected = 0.0
    for i in range(3):
        for j in range(3):
            here = float(field[i, j])
            for other in (field[(i + 1) % 3, j], field[i, (j + 1) % 3]):
                expected -= (here - float(other)) ** 2
            expected -= -4.0 * here**2 + 8.0 * here**4
    found = densities.lattice_field(3).log_density(field.reshape(1, 9))
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("centred", [False, True])
def test_a_normal_distribution_of_eight_schools_is_right_or_not_trusted(centred: bool):
    # Steps end the fit, not seconds: results do not depend on how busy the machine is.
    method = FullRank(ReverseKL(max_steps=700, max_time=600.0))
    found = posterior(**densities.eight_schools(centred).arguments, method=method)
    summary = found.summary()
    # By quadrature over the spread: means 4.3968 and 3.5977, deviations 3.3177 and 3.2200.
    off = max(abs(summary["mean"].mean - 4.3968) / 3.3177, abs(summary["spread"].mean - 3.5977) / 3.22)
    if centred:
        # The centred form is a funnel.
        assert off > 0.2
        assert found.diagnosis.trust is Trust.DO_NOT
    else:
        assert off < 0.1
        assert found.diagnosis.trust is not Trust.DO_NOT


def test_two_models_are_compared_by_their_evidence():
    y = torch.tensor([1.2, 0.8, 1.1, 0.9, 1.3]).double()

    def model(prior_mean):
        def log_density(m):
            return Normal(prior_mean, 1.0).log_prob(m[:, 0]) + Normal(m, 1.0).log_prob(y).sum(1)

        return posterior(log_density, 1, "laplace")

    def exact(prior_mean):
        covariance = torch.eye(5).double() + 1.0
        return float(MultivariateNormal(torch.full((5,), prior_mean).double(), covariance).log_prob(y))

    factor = compare(model(1.0), model(-1.0))
    assert factor.log_factor == pytest.approx(exact(1.0) - exact(-1.0), abs=1e-7)
    assert "the first explains the data better" in str(factor)
