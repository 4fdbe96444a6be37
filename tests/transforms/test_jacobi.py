"""The inverse for any causal conditioner: how often it asks the net, and the nets that it refuses."""

import pytest
import torch

from logpx.errors import NotConvergedError, UsageError
from logpx.nets import MADE
from logpx.transforms import Autoregressive
from logpx.transforms.jacobi import jacobi_inverse
from logpx.transforms.univariate import AffineFunction


class Counting(torch.nn.Module):
    """A net of the user's own, that counts how often it is asked, and for how many rows."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.rows = []

    def forward(self, x, context):
        self.rows.append(x.shape[:-1].numel())
        return self.net(x, context)


def randomised(layer, scale):
    torch.manual_seed(0)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0.0, scale)
    return layer.double()


@pytest.mark.parametrize("features", [32, 128])
def test_near_initialisation_the_number_of_evaluations_does_not_grow_with_the_features(features):
    torch.manual_seed(0)
    made = MADE(features, 2, (features,))
    # As after the first steps of training: outputs start at zero, where one evaluation would do.
    torch.nn.init.normal_(made.output.weight, 0.0, 0.1 / features**0.5)
    net = Counting(made)
    layer = Autoregressive(features, net=net).double()
    z = torch.randn(100, features, dtype=torch.float64)
    _, _, certificate = layer.solve(z)
    # The iterations and the one with a graph, for all rows; one for a row per feature looks for causality.
    assert net.rows.count(100) == certificate.iterations + 1 <= 16
    assert net.rows.count(features + 1) == 1
    assert len(net.rows) == certificate.iterations + 2


@pytest.mark.parametrize("scale", [0.1, 0.5])
@pytest.mark.parametrize("context", [0, 2])
def test_the_iteration_finds_what_the_sweep_finds(scale, context):
    layer = randomised(Autoregressive(12, hidden=(16, 16), context=context), scale)
    z = torch.randn(50, 12, dtype=torch.float64)
    c = torch.randn(50, 2, dtype=torch.float64) if context else None
    x, ladj, certificate = layer.solve(z, c)
    assert certificate.iterations <= 13
    expected, expected_ladj = layer.inverse(z, c)
    torch.testing.assert_close(x, expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(ladj, expected_ladj, rtol=1e-8, atol=1e-8)


class Chain(torch.nn.Module):
    """The worst case: every feature is moved by the one before it alone, and as much as it moves."""

    def forward(self, x, context):
        shift = torch.nn.functional.pad(x[..., :-1], (1, 0))
        return torch.stack([shift, torch.zeros_like(x)], -1)


def test_a_chain_takes_as_many_sweeps_as_it_has_features():
    z = torch.randn(3, 20, dtype=torch.float64)
    x, _, certificate = Autoregressive(20, net=Chain()).solve(z)
    torch.testing.assert_close(x, z.cumsum(-1), rtol=1e-12, atol=1e-12)
    assert certificate.iterations == 21 - 1


class Leaky(torch.nn.Module):
    """Feature 1 sees itself, or what comes after it, weakly enough for the iteration to converge."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x, context):
        params = torch.zeros(*x.shape, 2, dtype=x.dtype)
        params[..., 1, 0] = 1e-3 * x[..., self.seen]
        return params


@pytest.mark.parametrize("seen", [1, 2, 4])
def test_a_net_that_is_not_causal_is_named_even_where_the_iteration_would_converge(seen):
    layer, z = Autoregressive(5, net=Leaky(seen)), torch.randn(7, 5)
    jacobi_inverse(layer.net, AffineFunction(), z, None)
    with pytest.raises(UsageError, match="parameters of feature 1 depend") as error:
        layer.inverse(z)
    assert "MADE" in error.value.fix


def test_a_cycle_that_amplifies_is_not_converged():
    def net(x, context):
        return torch.stack([5.0 * x.flip(-1), torch.zeros_like(x)], -1)

    with pytest.raises(NotConvergedError, match="after 5 iterations"):
        jacobi_inverse(net, AffineFunction(), torch.randn(3, 4), None)


def test_a_causal_net_whose_last_row_alone_would_not_show_it():
    # The features before are seen, and only those.
    Autoregressive(5, net=Leaky(0)).inverse(torch.randn(7, 5))


def test_a_net_of_the_wrong_size():
    with pytest.raises(UsageError, match="returned shape") as error:
        Autoregressive(3, net=MADE(3, 5)).forward(torch.zeros(2, 3))
    assert "2 numbers per feature" in error.value.fix
