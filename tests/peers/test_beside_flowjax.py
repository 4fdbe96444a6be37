"""FlowJAX's maps and densities beside ours, with the same numbers. Skipped where FlowJAX is not installed."""

import math

import numpy as np
import pytest
import torch
from torch import distributions as torchs
from torch import nn
from torch.nn import functional

from logpx.distributions import Exponential, FromTorch, FullNormal, StandardNormal, StudentT, Uniform
from logpx.transforms import (
    Autoregressive,
    Exp,
    HouseholderMatrix,
    Inverse,
    Linear,
    Permutation,
    Planar,
    Reverse,
    Sigmoid,
    Softplus,
    Tanh,
    TriangularAffine,
    Univariate,
)
from logpx.transforms.univariate.rational_quadratic import rational_quadratic

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double")]
CLOSE = {"atol": 1e-6, "rtol": 1e-6}
SHARE = 0.99


def tensor(array):
    return torch.tensor(np.asarray(array))


def same(flowjax, ours, theirs, x):
    """Compare both directions of a map row by row: theirs takes one event at a time."""
    numpy = flowjax.jax.numpy
    for row in x:
        y, ladj = ours.forward(row)
        expected, expected_ladj = theirs.transform_and_log_det(numpy.asarray(row.numpy()))
        torch.testing.assert_close(y.detach(), tensor(expected), **CLOSE)
        torch.testing.assert_close(ladj.detach(), tensor(expected_ladj), **CLOSE)
        back, ladj_back = ours.inverse(tensor(expected))
        theirs_back, theirs_ladj = theirs.inverse_and_log_det(expected)
        torch.testing.assert_close(back.detach(), tensor(theirs_back), **CLOSE)
        torch.testing.assert_close(ladj_back.detach(), tensor(theirs_ladj), **CLOSE)


@pytest.mark.parametrize(
    ("name", "kind"), [("Exp", Exp), ("SoftPlus", Softplus), ("Sigmoid", Sigmoid), ("Tanh", Tanh)]
)
def test_fixed_functions(flowjax, name, kind):
    same(flowjax, kind(3), getattr(flowjax.bijections, name)((3,)), torch.randn(5, 3))


def test_splines(flowjax):
    generator = np.random.default_rng(0)
    numpy, spline = flowjax.jax.numpy, flowjax.bijections.RationalQuadraticSpline(knots=6, interval=3)

    def drawn(leaf):
        return leaf + numpy.asarray(generator.normal(size=leaf.shape))

    arrays, rest = flowjax.equinox.partition(spline, flowjax.equinox.is_inexact_array)
    given = flowjax.paramax.unwrap(
        flowjax.equinox.combine(flowjax.jax.tree_util.tree_map(drawn, arrays), rest)
    )
    knots = [tensor(part) for part in (given.x_pos, given.y_pos, given.derivatives)]
    # Theirs is the identity outside whatever the slopes at the ends; ours goes on with those.
    for x in torch.linspace(-2.99, 2.99, 21):
        for inverse, theirs in ((False, given.transform_and_log_det), (True, given.inverse_and_log_det)):
            found = rational_quadratic(x, *knots, inverse=inverse)
            for mine, other in zip(found, theirs(numpy.asarray(x.numpy())), strict=True):
                torch.testing.assert_close(mine, tensor(other), **CLOSE)


def test_triangular_maps(flowjax):
    factor = torch.randn(3, 3).tril(-1) + torch.rand(3).diag() + torch.eye(3)
    shift = torch.randn(3)
    theirs = flowjax.paramax.unwrap(
        flowjax.bijections.TriangularAffine(shift.numpy(), flowjax.jax.numpy.asarray(factor.numpy()))
    )
    # Theirs multiplies where ours solves.
    same(flowjax, Inverse(TriangularAffine.of(shift, factor)), theirs, torch.randn(5, 3))


def test_planar_maps(flowjax):
    theirs = flowjax.bijections.Planar(flowjax.jax.random.key(0), dim=3)
    params = 0.8 * torch.randn(7)
    theirs = flowjax.equinox.tree_at(
        lambda each: each.params, theirs, flowjax.jax.numpy.asarray(params.numpy())
    )
    w, u, b = params[:3], params[3:6], params[6]
    product = torch.log1p(functional.softplus(w @ u)) - 1.0
    bent = u + (product - w @ u) * w / w.square().sum()
    raw = torch.log(torch.expm1(product / SHARE + 1.0)) - math.log(math.e - 1.0)
    ours = Planar(3)
    with torch.no_grad():
        ours.weight.copy_(w)
        ours.bias.copy_(b)
        ours.shift.copy_(bent + (raw - product) * w / w.square().sum())
    for row in torch.randn(5, 3):
        found = ours.forward(row)
        for mine, other in zip(found, theirs.transform_and_log_det(row.numpy()), strict=True):
            torch.testing.assert_close(mine.detach(), tensor(other), **CLOSE)


def test_permutations_and_reflections(flowjax):
    x, order = torch.randn(5, 3), [2, 0, 1]
    same(flowjax, Permutation(3, order), flowjax.bijections.Permute(flowjax.jax.numpy.asarray(order)), x)
    same(flowjax, Reverse(3), flowjax.bijections.Flip((3,)), x)
    vector = torch.randn(3)
    ours = Linear(3, HouseholderMatrix(3, 1))
    with torch.no_grad():
        ours.matrix.vectors.copy_(vector[:, None])
        ours.bias.zero_()
    same(flowjax, ours, flowjax.paramax.unwrap(flowjax.bijections.Householder(vector.numpy())), x)


class Multiplied(Univariate):
    """x s + b, with their scale."""

    parameters = 2

    def __call__(self, x, params, inverse=False):
        scale = functional.softplus(params[..., 1] + math.log(math.e - 1.0))
        if inverse:
            return (x - params[..., 0]) / scale, -scale.log()
        return x * scale + params[..., 0], scale.log()


def test_masked_autoregressive_maps_with_the_same_weights(flowjax):
    theirs = flowjax.paramax.unwrap(
        flowjax.bijections.MaskedAutoregressive(
            flowjax.jax.random.key(1),
            transformer=flowjax.bijections.Affine(),
            dim=3,
            nn_width=8,
            nn_depth=2,
        )
    )
    layers = []
    for linear in theirs.masked_autoregressive_mlp.layers:
        layer = nn.Linear(linear.weight.shape[1], linear.weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(tensor(linear.weight))
            layer.bias.copy_(tensor(linear.bias))
        layers += [layer, nn.ReLU()]
    ours = Autoregressive(3, Multiplied(), net=nn.Sequential(*layers[:-1]))
    same(flowjax, ours, theirs, torch.randn(5, 3))


DENSITIES = {
    "StandardNormal": (lambda d: d.StandardNormal((2,)), lambda: StandardNormal(2)),
    "Uniform": (lambda d: d.Uniform(np.zeros(2), 2.0 * np.ones(2)), lambda: Uniform(2, 0.0, 2.0)),
    "Exponential": (lambda d: d.Exponential(np.ones(2)), lambda: Exponential(2)),
    "StudentT": (lambda d: d.StudentT(4.0 * np.ones(2)), lambda: StudentT(2, degrees=4.0)),
    "Gumbel": (lambda d: d.Gumbel(np.ones(2)), lambda: of_torch(torchs.Gumbel)),
    "Laplace": (lambda d: d.Laplace(np.ones(2)), lambda: of_torch(torchs.Laplace)),
    "Cauchy": (lambda d: d.Cauchy(np.ones(2)), lambda: of_torch(torchs.Cauchy)),
    "LogNormal": (lambda d: d.LogNormal(np.ones(2)), lambda: of_torch(torchs.LogNormal)),
}


def of_torch(kind):
    return FromTorch(torchs.Independent(kind(torch.ones(2), torch.ones(2)), 1))


@pytest.mark.parametrize("name", DENSITIES)
def test_densities(flowjax, name):
    theirs, ours = DENSITIES[name]
    x = 0.1 + 1.8 * torch.rand(6, 2)
    expected = theirs(flowjax.distributions).log_prob(x.numpy())
    torch.testing.assert_close(ours().double().log_prob(x).detach(), tensor(expected), **CLOSE)


def test_normals_of_all_features(flowjax):
    normal = FullNormal(2)
    with torch.no_grad():
        for parameter in normal.parameters():
            parameter.normal_()
    x = torch.randn(6, 2)
    theirs = flowjax.distributions.MultivariateNormal(
        normal.mean.detach().numpy(), flowjax.jax.numpy.asarray(normal.covariance.detach().numpy())
    )
    torch.testing.assert_close(normal.log_prob(x).detach(), tensor(theirs.log_prob(x.numpy())), **CLOSE)
