"""zuko's maps and densities beside ours, with the same numbers. Skipped where zuko is not installed."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from logpx import nets
from logpx.distributions import DiagonalNormal, Flow, StandardNormal, TruncatedNormal, Uniform
from logpx.flows import AdaptiveSolver
from logpx.flows.continuous import Continuous
from logpx.transforms import (
    AffineFunction,
    Autoregressive,
    BernsteinFunction,
    Chain,
    Coupling,
    DenseMatrix,
    Linear,
    Permutation,
    Reverse,
    Univariate,
    monotone_inverse,
)
from logpx.transforms.univariate.rational_quadratic import rational_quadratic

pytestmark = pytest.mark.slow
CLOSE = {"atol": 1e-9, "rtol": 1e-9}


@pytest.fixture(autouse=True)
def _unchecked(double, monkeypatch):
    # As zuko sets it for the whole process.
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)


def same(ours, theirs, x, **close):
    """Compare both directions of a map, and both logarithms of slopes."""
    close = close or CLOSE
    y, ladj = ours.forward(x)
    expected, expected_ladj = theirs.call_and_ladj(x)
    torch.testing.assert_close(y, expected, **close)
    torch.testing.assert_close(ladj, expected_ladj, **close)
    back, ladj_back = ours.inverse(expected)
    torch.testing.assert_close(back, theirs.inv(expected), atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(ladj_back, -expected_ladj, atol=1e-5, rtol=1e-6)


class Elementwise:
    """A function of one number with given parameters, in both directions."""

    def __init__(self, function, params):
        self.function, self.params = function, params

    def forward(self, x):
        return self.function(x, self.params.expand(*x.shape, -1))

    def inverse(self, y):
        return self.function(y, self.params.expand(*y.shape, -1), inverse=True)


class Multiplied(Univariate):
    """exp(a) x + b, the inverse of our function, as zuko parameterises it."""

    parameters = 2

    def __call__(self, x, params, inverse=False):
        return AffineFunction()(x, params, not inverse)


class Spline(Univariate):
    """Our spline, with its knots where zuko puts them."""

    parameters = 3 * 8 - 1

    def __init__(self, zuko):
        self.theirs = zuko.transforms.MonotonicRQSTransform

    def __call__(self, x, params, inverse=False):
        given = self.theirs(*params.split([8, 8, 7], -1))
        knots = (part.movedim(-1, 0) for part in (given.horizontal, given.vertical, given.derivatives))
        return rational_quadratic(x, *knots, inverse=inverse)


class Conditioner(nn.Module):
    """zuko's network, whose inputs are features and context together."""

    def __init__(self, hyper, flip=False):
        super().__init__()
        self.hyper, self.flip = hyper, flip

    def forward(self, x, context=None):
        x = x.flip(-1) if self.flip else x
        seen = x if context is None else torch.cat([x, context.expand(*x.shape[:-1], -1)], -1)
        found = self.hyper(seen).unflatten(-1, (x.shape[-1], -1))
        return (found.flip(-2) if self.flip else found).flatten(-2)


def test_splines(zuko):
    params = 2.0 * torch.randn(23)
    theirs = zuko.transforms.MonotonicRQSTransform(*params.split([8, 8, 7]))
    same(Elementwise(Spline(zuko), params), theirs, torch.linspace(-7.0, 7.0, 301))


def test_affine_functions(zuko):
    shift, scale = torch.randn(2, 50) * 3.0
    ours = Elementwise(Multiplied(), torch.stack([shift, scale], -1))
    same(ours, zuko.transforms.MonotonicAffineTransform(shift, scale), torch.randn(50))


def test_bernstein_polynomials(zuko):
    theirs = zuko.transforms.BernsteinTransform(0.5 * torch.randn(12))
    degree, bound = theirs.order, theirs.bound
    log_steps = (theirs.theta.diff() * degree / (2.0 * bound)).log()
    assert (log_steps.abs() < 5.0).all()
    raw = log_steps / (1.0 - log_steps.abs() / 5.0)
    params = torch.cat([0.5 * (theirs.theta[:1] + theirs.theta[-1:]), raw])
    # Theirs begins its tails a millionth before the ends, and inverts by bisection.
    x = torch.linspace(-bound + 1e-3, bound - 1e-3, 200)
    same(Elementwise(BernsteinFunction(degree, bound), params), theirs, x, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("spline", [False, True])
def test_masked_autoregressive_maps_with_the_same_weights(zuko, spline, context):
    options = {}
    if spline:
        options = {"univariate": zuko.transforms.MonotonicRQSTransform, "shapes": [(8,), (8,), (7,)]}
    lazy = zuko.flows.MaskedAutoregressiveTransform(4, context, hidden_features=(16, 16), **options)
    c = torch.randn(context) if context else None
    function = Spline(zuko) if spline else Multiplied()
    ours = Autoregressive(4, function, context=context, net=Conditioner(lazy.hyper))
    x = torch.randn(20, 4)
    theirs = lazy(c)
    for found, expected in zip(ours.forward(x, c), theirs.call_and_ladj(x), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)
    back, ladj = ours.inverse(theirs(x), c)
    torch.testing.assert_close(back, x, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ladj, theirs.inv.call_and_ladj(theirs(x))[1], atol=1e-6, rtol=1e-6)


def test_couplings_with_the_same_weights(zuko):
    mask = torch.tensor([False, False, True, True])
    lazy = zuko.flows.GeneralCouplingTransform(4, mask=~mask, hidden_features=(16,))
    same(Coupling(4, Multiplied(), net=Conditioner(lazy.hyper)), lazy(), torch.randn(20, 4))


def test_a_whole_flow_with_the_same_weights(zuko):
    theirs = zuko.flows.MAF(3, transforms=2, hidden_features=(16,))
    first, second = theirs.transform.transforms
    layers = [
        Autoregressive(3, Multiplied(), net=Conditioner(first.hyper)),
        Reverse(3),
        # Theirs goes through the features backwards.
        Autoregressive(3, Multiplied(), net=Conditioner(second.hyper, flip=True)),
        Reverse(3),
    ]
    ours = Flow(StandardNormal(3), Chain(layers)).double()
    x = torch.randn(20, 3)
    torch.testing.assert_close(ours.log_prob(x), theirs().log_prob(x), **CLOSE)


def test_matrices_and_permutations(zuko):
    x, numbers = torch.randn(10, 5), torch.randn(5, 5)
    for theirs, matrix in (
        (lu := zuko.transforms.LULinearTransform(numbers), lu.L @ lu.U),
        (rotation := zuko.transforms.RotationTransform(numbers), rotation.R),
    ):
        ours = Linear(5, DenseMatrix(5))
        with torch.no_grad():
            ours.matrix.weight.copy_(matrix)
            ours.bias.zero_()
        same(ours, theirs, x, atol=1e-8, rtol=1e-8)
    order = [3, 1, 4, 0, 2]
    same(Permutation(5, order), zuko.transforms.PermutationTransform(torch.tensor(order)), x)


def test_paths_of_an_equation(zuko):
    velocity = nets.VelocityMLP(3, hidden=(8,))
    with torch.no_grad():
        for parameter in velocity.parameters():
            parameter.normal_(0.0, 0.4)
    theirs = zuko.transforms.FreeFormJacobianTransform(
        lambda t, x: velocity(x, t, None), 1.0, 0.0, velocity.parameters(), atol=1e-10, rtol=1e-9
    )
    ours = Continuous(3, velocity, 0, AdaptiveSolver(1e-9))
    same(ours, theirs, torch.randn(8, 3), atol=1e-5, rtol=1e-5)


def test_roots_and_their_gradients(zuko):
    slope = torch.tensor(1.5, requires_grad=True)
    y = torch.randn(50, requires_grad=True)
    theirs = zuko.utils.bisection(lambda x: x**3 + slope * x, y, -5.0, 5.0, n=50, phi=(slope,))
    low, high = torch.full((50,), -5.0), torch.full((50,), 5.0)
    ours, _ = monotone_inverse(lambda x: (x**3 + slope * x, (3.0 * x**2 + slope).log()), y, low, high)
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)
    gradients = (torch.autograd.grad(root.sum(), (y, slope), retain_graph=True) for root in (ours, theirs))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_networks_with_the_same_weights(zuko):
    theirs = zuko.nn.MLP(3, 5, [8])
    ours = nets.MLP(3, 5, (8,), damped=False)
    with torch.no_grad():
        for mine, other in ((ours.layers[0], theirs[0]), (ours.output, theirs[2])):
            mine.weight.copy_(other.weight)
            mine.bias.copy_(other.bias)
    x = torch.randn(7, 3)
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)


def test_densities(zuko):
    mean, scale = torch.randn(2), functional.softplus(torch.randn(2))
    normal = DiagonalNormal(2)
    with torch.no_grad():
        normal.mean.copy_(mean)
        normal.log_scale.copy_(scale.log())
    x = torch.randn(9, 2)
    torch.testing.assert_close(
        normal.log_prob(x), zuko.distributions.DiagNormal(mean, scale).log_prob(x), **CLOSE
    )
    box = zuko.distributions.BoxUniform(-torch.ones(2), 2.0 * torch.ones(2))
    inside = 3.0 * torch.rand(9, 2) - 1.0
    torch.testing.assert_close(Uniform(2, -1.0, 2.0).double().log_prob(inside), box.log_prob(inside), **CLOSE)
    standard = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    part = zuko.distributions.Truncated(standard, torch.tensor(1.0), torch.tensor(2.0))
    rows = 1.0 + torch.rand(9, 1)
    torch.testing.assert_close(
        TruncatedNormal(1, 1.0, 2.0).double().log_prob(rows), part.log_prob(rows[:, 0]), atol=1e-6, rtol=1e-6
    )
