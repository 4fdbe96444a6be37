"""nflows' maps and densities beside ours, with the same numbers. Skipped where nflows is not installed."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from logpx.distributions import Flow, StandardNormal
from logpx.transforms import (
    Autoregressive,
    Chain,
    Convolution1x1,
    Coupling,
    DenseMatrix,
    HouseholderMatrix,
    Linear,
    Logit,
    Permutation,
    Reverse,
    Sigmoid,
    Tanh,
    Univariate,
)
from logpx.transforms.univariate.rational_quadratic import rational_quadratic

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double")]
CLOSE = {"atol": 1e-8, "rtol": 1e-8}


def same(ours, theirs, x, **close):
    """Compare both directions of a map, and both ladjs."""
    close = close or CLOSE
    found, expected = ours.forward(x), theirs(x)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, **close)
    for mine, other in zip(ours.inverse(expected[0]), theirs.inverse(expected[0]), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def increasing(raw, lower, upper, least=1e-3):
    """Return knots as the page of nflows' splines defines them."""
    shares = least + (1.0 - least * raw.shape[-1]) * functional.softmax(raw, -1)
    inner = lower + (upper - lower) * shares.cumsum(-1)[..., :-1]
    return torch.cat([torch.full_like(raw[..., :1], lower), inner, torch.full_like(raw[..., :1], upper)], -1)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("tails", [False, True])
def test_splines(nflows, tails, inverse):
    splines = nflows.transforms.splines.rational_quadratic
    widths, heights = torch.randn(2, 200, 10)
    slopes = torch.randn(200, 9 if tails else 11)
    if tails:
        x = torch.linspace(-4.0, 4.0, 200)
        expected = splines.unconstrained_rational_quadratic_spline(
            x, widths, heights, slopes, inverse, tail_bound=3.0
        )
        lower, upper = -3.0, 3.0
    else:
        x = torch.linspace(0.0, 1.0, 200)
        expected = splines.rational_quadratic_spline(x, widths, heights, slopes, inverse)
        lower, upper = 0.0, 1.0
    derivatives = 1e-3 + functional.softplus(slopes)
    if tails:
        derivatives = functional.pad(derivatives, (1, 1), value=1.0)
    knots = (increasing(widths, lower, upper), increasing(heights, lower, upper), derivatives)
    found = rational_quadratic(x, *(part.movedim(-1, 0) for part in knots), inverse=inverse)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-7, rtol=1e-7)


class Multiplied(Univariate):
    """x s + b with a positive s of the raw number that comes first or last."""

    parameters = 2

    def __init__(self, positive, first):
        self.positive, self.first = positive, first

    def __call__(self, x, params, inverse=False):
        raw, shift = params.unbind(-1) if self.first else params.flip(-1).unbind(-1)
        scale = self.positive(raw)
        return ((x - shift) / scale, -scale.log()) if inverse else (x * scale + shift, scale.log())


class Interleaved(nn.Module):
    """A net that puts out all shifts and then all scales, in the order of ours."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).unflatten(1, (2, -1)).movedim(1, 2)


class Net(nn.Sequential):
    """A net as theirs are called."""

    def forward(self, x, context=None):
        return super().forward(x)


def soft(raw):
    return functional.softplus(raw) + 1e-3


def test_masked_autoregressive_maps_with_the_same_weights(nflows):
    theirs = nflows.transforms.MaskedAffineAutoregressiveTransform(4, 16)
    ours = Autoregressive(4, Multiplied(soft, first=True), net=theirs.autoregressive_net)
    same(ours, theirs, torch.randn(20, 4))


def test_couplings_with_the_same_weights(nflows):
    def net(inputs, outputs):
        return Net(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))

    theirs = nflows.transforms.AffineCouplingTransform(torch.tensor([0, 0, 1, 1]), net)
    function = Multiplied(lambda raw: torch.sigmoid(raw + 2.0) + 1e-3, first=False)
    same(Coupling(4, function, net=Interleaved(theirs.transform_net)), theirs, torch.randn(20, 4))


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
def test_matrices_and_permutations(nflows):
    x = torch.randn(10, 5)
    given = nflows.transforms.LULinear(5, identity_init=False)
    with torch.no_grad():
        given.bias.normal_()
    ours = Linear(5, DenseMatrix(5))
    with torch.no_grad():
        ours.matrix.weight.copy_(given.weight())
        ours.bias.copy_(given.bias)
    same(ours, given, x)
    turned = nflows.transforms.HouseholderSequence(5, 4)
    with torch.no_grad():
        turned.q_vectors.normal_()
    reflections = Linear(5, HouseholderMatrix(5, 4))
    with torch.no_grad():
        reflections.matrix.vectors.copy_(turned.q_vectors.flip(0).T)
    same(reflections, turned, x)
    order = torch.tensor([3, 1, 4, 0, 2])
    same(Permutation(5, order.tolist()), nflows.transforms.Permutation(order), x)
    same(Reverse(5), nflows.transforms.ReversePermutation(5), x)


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
def test_convolutions_of_one_pixel(nflows):
    theirs = nflows.transforms.OneByOneConvolution(3, identity_init=False)
    # Theirs begins with a permutation of the channels.
    with torch.no_grad():
        theirs.permutation._permutation.copy_(torch.arange(3))
    ours = Convolution1x1((3, 2, 4), DenseMatrix(3))
    with torch.no_grad():
        ours.matrix.weight.copy_(theirs.weight())
    same(ours, theirs, torch.randn(6, 3, 2, 4))


@pytest.mark.parametrize(("name", "kind"), [("Tanh", Tanh), ("Sigmoid", Sigmoid), ("Logit", Logit)])
def test_fixed_functions(nflows, name, kind):
    x = torch.rand(10, 3)
    same(kind(3), getattr(nflows.transforms, name)(), 0.98 * x + 0.01, atol=1e-5, rtol=1e-5)


def test_a_whole_flow_with_the_same_weights(nflows):
    made = [nflows.transforms.MaskedAffineAutoregressiveTransform(3, 16) for _ in range(2)]
    between = nflows.transforms.ReversePermutation(3)
    theirs = nflows.flows.base.Flow(
        nflows.transforms.CompositeTransform([made[0], between, made[1]]),
        nflows.distributions.normal.StandardNormal([3]),
    ).double()
    layers = [Autoregressive(3, Multiplied(soft, True), net=each.autoregressive_net) for each in made]
    ours = Flow(StandardNormal(3), Chain([layers[0], Reverse(3), layers[1]])).double()
    x = torch.randn(20, 3)
    torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x), **CLOSE)
