"""Torch's distributions as logpx's: densities, draws, bases of flows, saving."""

import pytest
import torch
from torch import nn
from torch.distributions import (
    Beta,
    Categorical,
    Dirichlet,
    Exponential,
    Gamma,
    HalfNormal,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Pareto,
    Poisson,
    StudentT,
    Uniform,
    VonMises,
)

import logpx
from logpx.distributions import Flow, FromTorch, Mixture, Product, StandardNormal
from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Softplus

TWO, THREE = torch.full((2,), 2.0), torch.tensor([3.0, 4.0])
NAMED = {
    "Laplace": lambda: Laplace(TWO, THREE),
    "Student": lambda: StudentT(THREE, TWO, THREE),
    "Gamma": lambda: Gamma(TWO, THREE),
    "Beta": lambda: Beta(TWO, THREE),
    "Exponential": lambda: Exponential(TWO),
    "half normal": lambda: HalfNormal(TWO),
    "Pareto": lambda: Pareto(TWO, THREE),
    "uniform": lambda: Uniform(TWO, THREE),
    "von Mises": lambda: VonMises(torch.zeros(2), THREE),
}


@pytest.fixture(params=NAMED)
def distribution(request):
    return Independent(NAMED[request.param](), 1)


def test_density_and_draws_are_torchs(distribution):
    model = FromTorch(distribution)
    torch.manual_seed(0)
    x = distribution.sample((1000,))
    torch.testing.assert_close(model.log_prob(x), distribution.log_prob(x))
    drawn = model.sample(5000, seed=1)
    assert torch.equal(drawn[:10], model.sample(10, seed=1))
    ours, theirs = (each.median(0).values for each in (drawn, distribution.sample((5000,))))
    torch.testing.assert_close(ours, theirs, atol=0.3, rtol=0.1)
    state = torch.get_rng_state()
    model.sample(10, seed=2)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["Gamma", "Beta", "Exponential", "half normal", "Pareto"])
def test_outside_the_support_the_density_is_zero_and_a_missing_cell_is_no_number(name):
    model = FromTorch(Independent(NAMED[name](), 1))
    inside = model.sample(1, seed=0)[0]
    x = inside.repeat(4, 1)
    x[1, 0], x[2, 1], x[3, 0] = -0.5, -3.0, torch.nan
    x.requires_grad_()
    log_prob = model.log_prob(x)
    assert log_prob[0].isfinite()
    assert log_prob[1:3].isneginf().all()
    assert log_prob[3].isnan()
    log_prob[:3].sum().backward()
    assert x.grad[:3].isfinite().all()


def test_a_flow_of_such_noise_is_saved_and_moved(distribution, tmp_path):
    flow = Flow(distribution, Affine(2))
    x = flow.sample(4, seed=0)
    assert flow.log_prob(x).isfinite().all()
    logpx.save(flow, tmp_path / "model")
    again = logpx.load(tmp_path / "model")
    assert torch.equal(again.log_prob(x), flow.eval().log_prob(x))
    assert torch.equal(again.sample(3, seed=1), flow.sample(3, seed=1))
    assert flow.double().sample(2).dtype == torch.float64


def test_parameters_of_a_base_are_trained_and_others_are_not():
    scale = nn.Parameter(torch.ones(2))
    flow = Flow(Independent(Laplace(torch.zeros(2), scale), 1), Affine(2))
    assert {name for name, _ in flow.named_parameters()} >= {"base.scale"}
    assert flow.base.scale is scale
    flow.log_prob(torch.full((3, 2), 2.0)).sum().backward()
    assert scale.grad.abs().sum() > 0.0
    noise = flow.base.rsample(5)
    assert noise.requires_grad
    assert not flow.base.sample(5).requires_grad


def test_others_work_but_are_not_saved(tmp_path):
    components = Independent(Normal(torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), 1.0), 1)
    noise = MixtureSameFamily(Categorical(torch.ones(2)), components)
    flow = Flow(noise, Affine(2))
    x = torch.randn(5, 2)
    torch.testing.assert_close(flow.log_prob(x), noise.log_prob(x))
    assert flow.sample(3, seed=0).shape == (3, 2)
    assert torch.equal(flow.sample(3, seed=0), flow.sample(3, seed=0))
    with pytest.raises(UsageError, match="MixtureSameFamily cannot be saved"):
        logpx.save(flow, tmp_path / "model")


def test_a_distribution_of_ones_own_is_not_mistaken_for_its_parent():
    class Shifted(Normal):
        def log_prob(self, value):
            return super().log_prob(value - 1.0)

    flow = Flow(Independent(Shifted(torch.zeros(2), 1.0), 1), Affine(2))
    torch.testing.assert_close(flow.log_prob(torch.ones(2)), StandardNormal(2).log_prob(torch.zeros(2)))


def test_a_model_given_out_comes_back_as_itself():
    normal = StandardNormal(2)
    assert Flow(normal.distribution(), Affine(2)).base is normal


def test_matrices_and_numbers():
    factor = torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    normal = MultivariateNormal(torch.zeros(2), scale_tril=factor)
    torch.testing.assert_close(FromTorch(normal).log_prob(torch.ones(2)), normal.log_prob(torch.ones(2)))
    assert FromTorch(Laplace(0.0, 1.0)).event_shape == ()
    assert FromTorch(Laplace(0.0, 1.0)).log_prob(torch.zeros(3)).shape == (3,)


def test_a_flow_onto_the_range_of_its_noise_is_fitted():
    x = torch.empty(1000, 1).exponential_(2.0, generator=torch.Generator().manual_seed(0)) + 0.05
    flow = Flow(Independent(Gamma(torch.ones(1), torch.ones(1)), 1), Chain([Affine(1), Softplus(1)]))
    result = logpx.fit(flow, x, max_steps=30, progress=False)
    assert result.model.log_prob(x).isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Normal(torch.zeros(2), 1.0), r"batch shape \(2,\)"),
        (Normal(0.0, 1.0), r"event shape \(\), the transform \(2,\)"),
        (Independent(Normal(torch.zeros(3), 1.0), 1), r"event shape \(3,\), the transform \(2,\)"),
        (Independent(Poisson(torch.ones(2)), 1), "discrete"),
        (Dirichlet(torch.ones(2)), "surface"),
        (Independent(Normal(TWO * torch.nan, 1.0, validate_args=False), 1), "loc of .* is not finite"),
    ],
)
def test_noise_that_does_not_fit_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        Flow(wrong, Affine(2))


def test_a_forged_description_is_refused():
    for description in (
        {"family": "Poisson", "shapes": {"rate": [2]}, "trained": [], "event_dims": 1},
        {"family": "Laplace", "shapes": {"loc": [2]}, "trained": [], "event_dims": 1},
        {"family": "Laplace", "shapes": {"loc": [2], "scale": [2]}, "trained": ["x"], "event_dims": 1},
    ):
        with pytest.raises(UsageError):
            FromTorch(description)


def test_it_is_a_part_like_others():
    laplace = FromTorch(Independent(Laplace(torch.zeros(2), torch.ones(2)), 1))
    x = torch.tensor([[0.5, -1.0]])
    mixture = Mixture([laplace, StandardNormal(2)])
    expected = torch.logaddexp(laplace.log_prob(x), StandardNormal(2).log_prob(x)) - torch.log(
        torch.tensor(2.0)
    )
    torch.testing.assert_close(mixture.log_prob(x), expected)
    assert Product([laplace, StandardNormal(1)]).sample(3, seed=0).shape == (3, 3)
