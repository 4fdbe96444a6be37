"""What every distribution does with unusual rows, and with gradients."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions

import logpx
from logpx import flows, latent
from logpx.distributions import (
    Distribution,
    Exponential,
    Flow,
    FullNormal,
    Mixture,
    Product,
    StandardNormal,
    StudentT,
    Uniform,
)
from logpx.errors import UnknownArgumentError, UsageError
from logpx.transforms import Affine, AffineFunction, Autoregressive, Chain, Coupling, Reverse, Sigmoid

MODELS = {
    "normal": lambda: StandardNormal(2),
    "full normal": lambda: FullNormal(2),
    "Student t": lambda: StudentT(2),
    "uniform": lambda: Uniform(2),
    "exponential": lambda: Exponential(2),
    "mixture": lambda: Mixture([StandardNormal(2), Uniform(2)]),
    "product": lambda: Product([StandardNormal(1), Uniform(1)]),
    "Gaussian mixture": lambda: latent.GaussianMixture(2, 2),
    "PPCA": lambda: latent.ProbabilisticPCA(2, 1),
    "factor analysis": lambda: latent.FactorAnalysis(2, 1),
    "Poisson mixture": lambda: latent.PoissonMixture(2, 2),
    "RealNVP": lambda: flows.RealNVP(2, layers=2, hidden=(4,)),
    "MAF": lambda: flows.MAF(2, layers=2, hidden=(4,)),
    "NSF": lambda: flows.NSF(2, layers=2, hidden=(4,)),
}


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]()


def test_rows_of_any_number_and_whole_numbers(model):
    x = torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]], [[3.0, 0.0]]])
    each = torch.stack([model.log_prob(row[0]) for row in x])
    assert each.shape == (3,)
    for rows in (x, x.long(), x.double().to(torch.int32)):
        torch.testing.assert_close(model.log_prob(rows), each[:, None])
    for leading in ((0,), (2, 0)):
        assert model.log_prob(torch.zeros(*leading, 2)).shape == leading
    assert model.log_prob(torch.ones(3, 2, dtype=torch.bool)).isfinite().all()


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_the_density_is_zero_at_infinity(model, value):
    x = torch.tensor([[0.0, 1.0], [value, 1.0], [0.0, value], [value, value]], requires_grad=True)
    log_prob = model.log_prob(x)
    assert log_prob[1:].isneginf().all()
    assert log_prob[0].isfinite()
    log_prob.sum().backward()
    assert all(each.grad.isfinite().all() for each in (x, *model.parameters()) if each.grad is not None)


def test_a_missing_cell_is_never_a_number_unless_it_is_integrated_out(model):
    log_prob = model.log_prob(torch.tensor([[math.nan, 1.0], [0.0, 1.0]]))
    assert log_prob.isnan().tolist() == [not model.allows_missing, False]


@pytest.mark.parametrize("name", ["RealNVP", "MAF", "NSF", "normal", "Student t"])
@pytest.mark.parametrize("size", [1e16, 1e19, 1e20, 1e30, 1e35])
def test_far_rows_do_not_spoil_the_gradient(name, size):
    torch.manual_seed(0)
    model = MODELS[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    x = torch.tensor([[0.1, 0.2], [size, 0.1], [0.1, -size], [size, size]], requires_grad=True)
    log_prob = model.log_prob(x)
    assert not log_prob.isnan().any()
    log_prob.sum().backward()
    assert all(each.grad.isfinite().all() for each in (x, *model.parameters()) if each.grad is not None)


@pytest.mark.parametrize("name", ["full normal", "Gaussian mixture", "PPCA", "RealNVP", "Student t"])
def test_after_a_fit_scores_and_draws_are_numbers(name):
    model = MODELS[name]()
    x = torch.tensor(np.random.default_rng(0).normal(size=(100, 2)), dtype=torch.float32)
    logpx.fit(model, x, max_steps=2, max_epochs=2, progress=False)
    assert model.log_prob(x).numpy().shape == (100,)
    drawn, log_prob = model.sample_with_log_prob(5, seed=0)
    np.testing.assert_array_equal(drawn.numpy(), model.sample(5, seed=0).numpy())
    np.testing.assert_allclose(log_prob.numpy(), model.log_prob(drawn).numpy(), rtol=1e-4, atol=1e-4)
    assert model.log_prob(x.requires_grad_()).requires_grad
    model.train()
    assert model.log_prob(x.detach()).requires_grad


def test_gradients_of_draws_are_those_of_torch():
    model = Flow(StandardNormal(1), Affine(1))
    assert not model.sample(3, seed=0).requires_grad
    noise = StandardNormal(1).sample(1000, seed=0)
    x = model.rsample(1000, seed=0)
    x.square().mean().backward()
    assert model.transform.shift.grad.item() == pytest.approx(2.0 * noise.mean().item(), abs=1e-6)
    again, log_prob = model.rsample_with_log_prob(1000, seed=0)
    torch.testing.assert_close(again, x)
    assert log_prob.requires_grad
    assert not model.sample(3).requires_grad


def test_parts_that_are_no_distributions_are_named():
    normal = distributions.Normal(torch.zeros(2), 1.0)
    for build in (lambda: Flow(normal, Affine(2)), lambda: Mixture([normal]), lambda: Product([normal])):
        with pytest.raises(UsageError, match="batch shape"):
            build()
    for build in (lambda: Mixture([Affine(2)]), lambda: Product([3.0])):
        with pytest.raises(UsageError, match="Distribution was expected"):
            build()
    with pytest.raises(UsageError, match="transform"):
        Flow(StandardNormal(2), torch.nn.Identity())


def test_distributions_of_torch_are_components_and_parts(tmp_path):
    laplace = distributions.Independent(distributions.Laplace(torch.zeros(2), torch.ones(2)), 1)
    x = torch.randn(5, 2)
    mixture, product = Mixture([laplace, StandardNormal(2)]), Product([laplace, Uniform(1)])
    expected = torch.logaddexp(laplace.log_prob(x), StandardNormal(2).log_prob(x)) - math.log(2.0)
    torch.testing.assert_close(mixture.log_prob(x), expected)
    assert product.log_prob(torch.full((2, 3), 0.5)).shape == (2,)
    for number, model in enumerate((mixture, product)):
        logpx.save(model, tmp_path / str(number))
        drawn = model.sample(3, seed=0)
        assert torch.equal(logpx.load(tmp_path / str(number)).log_prob(drawn), model.log_prob(drawn))


def test_a_context_of_the_wrong_size_is_named():
    x, context = torch.zeros(5, 3), torch.zeros(5, 2)
    for transform in (
        Coupling(3, context=4, hidden=(4,)),
        Affine(3),
        Chain([Affine(3), Reverse(3)]),
        Sigmoid(3),
    ):
        for call in (transform.forward, transform.inverse):
            with pytest.raises(UsageError, match="context features, but got 2"):
                call(x, context)
    conditional = Chain([Affine(3), Autoregressive(3, context=2, hidden=(4,)), Reverse(3)])
    assert conditional.forward(x, context)[1].shape == (5,)
    with pytest.raises(UsageError, match="context of shape"):
        conditional.forward(x, context[:3])


def test_a_context_of_another_precision_is_named():
    with pytest.raises(UsageError, match=r"torch.float64 given to a model of torch.float32"):
        flows.MAF(2, layers=1, hidden=(4,), context=1).log_prob(torch.zeros(3, 2), torch.zeros(3, 1).double())


def test_functions_of_torch_are_mapped_over_rows_and_weights():
    flow = flows.MAF(2, layers=2, hidden=(4,))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    x = torch.tensor([[0.0, 1.0], [2.0, -1.0], [math.inf, 0.0]])
    (-flow(x[:2]).sum()).backward()
    expected = {name: -parameter.grad for name, parameter in flow.named_parameters()}
    flow.eval()
    torch.testing.assert_close(torch.func.vmap(flow.log_prob)(x), flow.log_prob(x))
    weights = {name: parameter.detach() for name, parameter in flow.named_parameters()}

    def of_row(weights, row):
        return torch.func.functional_call(flow, weights, (row,))

    # In evaluation mode, too, a gradient that is asked for is not 0.
    each = torch.func.vmap(torch.func.grad(of_row), (None, 0))(weights, x[:2])
    for name, gradient in each.items():
        torch.testing.assert_close(gradient.sum(0), expected[name])


def test_a_net_may_return_features_times_parameters():
    class Own(torch.nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.shape = shape

        def forward(self, x, context=None):
            return x.new_ones(*x.shape[:-1], *self.shape)

    x = torch.randn(5, 3)
    flat, square = (Coupling(3, net=Own(shape)) for shape in ((4,), (2, 2)))
    torch.testing.assert_close(flat.forward(x), square.forward(x))
    with pytest.raises(UsageError, match="2 numbers per mapped element"):
        Coupling(3, net=Own((3,))).forward(x)


def test_a_net_may_take_one_argument():
    net = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    layer, x = Coupling(3, net=net), torch.randn(5, 3)
    torch.testing.assert_close(layer.inverse(layer.forward(x)[0])[0], x)
    with pytest.raises(UsageError, match="Sequential takes no context"):
        Coupling(3, net=net, context=2)
    with pytest.raises(UsageError, match="Linear takes no context"):
        Autoregressive(3, net=torch.nn.Linear(3, 6), context=2)


def test_the_ladj_of_an_affine_function_has_the_shape_of_x():
    for inverse in (False, True):
        assert AffineFunction()(torch.zeros(7, 3), torch.zeros(3, 2), inverse)[1].shape == (7, 3)


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda: logpx.fit(StandardNormal(1), torch.zeros(3, 1), lr=0.1), "learning_rate"),
        (lambda: logpx.fit(StandardNormal(1), torch.zeros(3, 1), epochs=3), "max_epochs"),
        (lambda: flows.NSF(2, layer=3), "layers"),
        (lambda: StudentT(2, degree=3.0), "degrees"),
    ],
)
def test_a_misspelt_argument_is_named_with_the_nearest(call, nearest):
    with pytest.raises(UnknownArgumentError, match=nearest) as error:
        call()
    assert isinstance(error.value, TypeError)


def test_the_first_argument_of_a_constructor_may_have_any_name():
    class Own(Distribution):
        def __init__(s, scale=2.0):
            super().__init__(1)
            s.scale = scale

        def log_prob(self, x, context=None):
            return torch.tensor(stats.norm.logpdf(x[..., 0].numpy(), scale=self.scale))

    assert Own(scale=3.0).log_prob(torch.zeros(2, 1)).shape == (2,)
