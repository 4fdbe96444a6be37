"""Functions that are no log-densities, or have no finite integral."""

import math

import pytest
import torch
from torch.distributions import Beta, Dirichlet, Gamma, MultivariateNormal, Normal

from logpx.errors import DivergedError, LogpxError, UsageError
from logpx.posteriors import (
    METHODS,
    Interval,
    Positive,
    Real,
    Simplex,
    Trust,
    posterior,
)
from logpx.posteriors.approximations.pathfinder import multi_path_pathfinder
from logpx.posteriors.target.propriety import check_proper
from logpx.posteriors.target.target import Target

BAD = [
    (lambda x: x.sum(-1) * torch.nan, 2, "nan"),
    (lambda x: torch.full((len(x),), -torch.inf) + 0.0 * x.sum(-1), 2, "inf"),
    (lambda x: -(x * x), 3, "shape"),
    (lambda x: -x.detach().square().sum(-1), 2, "gradient"),
    (lambda x: float(-x.square().sum()), 2, "tensor"),
    (lambda x: x.sum(-1), 2, "without end"),
    (lambda x: x.square().sum(-1), 2, "does not fall"),
    (lambda x: 0.0 * x.sum(-1), 2, "does not fall"),
    (lambda x: torch.tensor(float(x.sum())), 2, "cannot be mapped over many"),
    (lambda x: -0.5 * x.square().sum(-1) - 1.5 * x.square().sum(-1).log(), 2, "has a pole near"),
    (lambda x: torch.where(x[:, 0] > 1.0, torch.nan, x[:, 0] - x.square().sum(-1) * 0.01), 2, "point"),
]


@pytest.mark.parametrize(("log_density", "dim", "message"), BAD)
def test_a_bad_log_density_is_named(log_density, dim: int, message: str):
    with pytest.raises(LogpxError, match=message):
        posterior(log_density, dim, "laplace")


def test_parameters_outside_of_a_support_are_named():
    with pytest.raises(UsageError, match="constrain"):
        posterior(lambda x: Beta(2.0, 2.0).log_prob(x[:, 0]), 1, "laplace")


def test_arguments_are_checked():
    def log_density(x):
        return -x.square().sum(-1)

    with pytest.raises(UsageError, match="no method 'laplce'"):
        posterior(log_density, 2, "laplce")
    with pytest.raises(UsageError, match=", ".join(["auto", "map", *METHODS])):
        posterior(log_density, 2, "?")
    with pytest.raises(UsageError, match="dim and parameters"):
        posterior(log_density)
    with pytest.raises(UsageError, match="dim"):
        posterior(log_density, 0)
    with pytest.raises(UsageError, match="function"):
        posterior(3, 2)


@pytest.mark.slow
def test_a_matrix_without_a_factor_has_no_density():
    def log_density(theta):
        correlation = theta["slope"][:, None, None] * torch.ones(2, 2).double() + torch.eye(2).double()
        factor = torch.linalg.cholesky(correlation)
        return MultivariateNormal(torch.zeros(2).double(), scale_tril=factor).log_prob(
            torch.tensor([0.3, 0.2])
        ) + Normal(0.5, 0.2).log_prob(theta["slope"])

    found = posterior(log_density, method="laplace", parameters={"slope": Real()}, draws=1000)
    with pytest.raises(torch.linalg.LinAlgError):
        log_density({"slope": torch.tensor([0.5, -1.0]).double()})
    assert found.diagnosis.trust is not Trust.DO_NOT
    values = found.target.log_prob(torch.tensor([[0.5], [-1.0], [0.4]]).double())
    assert values.isfinite().tolist() == [True, False, True]


TRUTHS = torch.tensor([1.0, 1.0, -1.0, -1.0]).double()
COLUMNS = torch.tensor([[2.0, 0.3, 1.0], [1.0, -0.5, 1.0], [-0.7, 0.1, 1.0], [-1.5, -0.4, 1.0]]).double()


def separated(x: torch.Tensor) -> torch.Tensor:
    return -torch.nn.functional.softplus(-TRUTHS * (x @ COLUMNS.mT)).sum(-1)


SLOW_TO_FALL = {
    "pole of the 1-norm": (lambda x: -x.abs().sum(-1).log(), 2),
    "pole in five dimensions": (lambda x: -3.0 * x.abs().sum(-1).log(), 5),
    "as fast as the volume grows": (lambda x: -1.5 * x.square().sum(-1).log1p(), 3),
    "one over the distance": (lambda x: -0.5 * x.square().log1p().sum(-1), 1),
    "product": (lambda x: -0.4 * x.square().log1p().sum(-1), 4),
    "logistic regression of separated rows": (separated, 3),
}


@pytest.mark.parametrize("name", SLOW_TO_FALL)
@pytest.mark.parametrize("method", ["laplace", "auto"])
def test_tails_without_an_integral_are_an_error(name: str, method: str):
    log_density, dim = SLOW_TO_FALL[name]
    with pytest.raises(DivergedError, match="fall"):
        posterior(log_density, dim, method)


HEAVY = {
    "Cauchy of two dimensions": (lambda x: -1.5 * x.square().sum(-1).log1p(), 2),
    "Student's t of few degrees": (lambda x: -1.55 * x.square().sum(-1).log1p(), 3),
    "Cauchy numbers in other units": (
        lambda x: -(x / torch.tensor([1e-3, 1.0, 1e3]).double()).square().log1p().sum(-1),
        3,
    ),
    "separated rows with a wide prior": (lambda x: separated(x) - 0.5e-8 * x.square().sum(-1), 3),
    "separated rows with a Cauchy prior": (lambda x: separated(x) - x.square().log1p().sum(-1), 3),
}


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_tails_with_an_integral_are_none(name: str):
    log_density, dim = HEAVY[name]
    target = Target(log_density, dim)
    check_proper(target, multi_path_pathfinder(target, 0)[0].point)


def test_a_function_that_refuses_what_is_far_away_is_none():
    def log_density(x: torch.Tensor) -> torch.Tensor:
        if bool((x.abs() > 1e3).any()):
            raise AssertionError("underflow of the step")
        return -0.5 * x.square().sum(-1)

    assert posterior(log_density, 2, "laplace").log_evidence == pytest.approx(
        math.log(2.0 * math.pi), abs=1e-8
    )


@pytest.mark.parametrize(
    ("parameters", "prior"),
    [
        ({"x": Positive()}, Gamma(torch.tensor(0.3).double(), 1.0)),
        ({"x": Positive()}, Gamma(0.3, 1.0)),
        ({"x": Interval(0.0, 1.0)}, Beta(0.5, 0.5)),
        ({"x": Simplex(3)}, Dirichlet(torch.tensor([0.2, 0.5, 1.0]).double())),
    ],
    ids=["gamma", "gamma in single precision", "beta", "Dirichlet"],
)
def test_a_pole_at_the_edge_of_what_is_allowed_is_none(parameters, prior):
    found = posterior(lambda theta: prior.log_prob(theta["x"]), parameters=parameters)
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert found.log_evidence == pytest.approx(0.0, abs=5.0 * found.diagnosis.log_evidence_error + 1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_periodic_density_without_a_prior_is_named_whatever_the_data(seed: int):
    generator = torch.Generator().manual_seed(seed)
    times = 10.0 * torch.rand(20, generator=generator).double()
    seen = torch.sin(1.3 * times + 0.4) + 0.2 * torch.randn(20, generator=generator).double()

    def density(phase):
        return Normal(torch.sin(1.3 * times + phase[:, :1]), 0.2).log_prob(seen).sum(1)

    with pytest.raises(DivergedError, match=r"does not fall.*"):
        posterior(density, 1, "laplace", seed=seed)


def test_a_misspelt_parameter_is_named_with_the_nearest():
    with pytest.raises(UsageError, match="asks for the parameter 'scael'") as caught:
        posterior(lambda theta: -theta["scael"], parameters={"scale": Positive()})
    assert "scale" in caught.value.fix


@pytest.mark.parametrize("point", [0.0, 1e-16, -1e-9])
def test_a_mode_almost_at_the_origin_is_no_flat_direction(point: float):
    check_proper(Target(lambda x: Normal(0.0, 0.1).log_prob(x).sum(-1), 1), torch.tensor([point]).double())
