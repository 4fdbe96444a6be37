"""What conditioners see of angles: cosine and sine, in the places of their features."""

import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.nets import MADE, MLP, CircularEmbedding, Embedded


def test_cosine_and_sine_of_the_angles():
    embedding = CircularEmbedding(4, circular=(3, 1), period=24.0)
    assert embedding.owners == [0, 1, 1, 2, 3, 3]
    x = torch.tensor([7.0, 6.0, -2.0, 4.0]).double()
    expected = [7.0, 0.0, 1.0, -2.0, math.cos(math.pi / 3), math.sin(math.pi / 3)]
    torch.testing.assert_close(embedding(x), torch.tensor(expected).double())
    torch.testing.assert_close(embedding(x + torch.tensor([0.0, 24.0, 0.0, -48.0])), embedding(x))


@pytest.mark.parametrize("circular", [(0,), (1, 2), (0, 1, 2, 3), (3,)])
@pytest.mark.parametrize("context", [0, 2])
def test_a_masked_net_sees_angles_of_features_before_and_no_other(circular, context):
    torch.manual_seed(0)
    net = MADE(4, 3, (9, 9), context, activation="tanh", embedding=CircularEmbedding(4, circular)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, 0.5)
    x, c = torch.randn(4).double(), torch.randn(context).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: net(x, c if context else None), x)
    assert torch.equal(jacobian.abs().amax(1) > 1e-12, torch.ones(4, 4).tril(-1).bool())
    turned = x + 2.0 * math.pi * torch.tensor([float(f in circular) for f in range(4)]).double()
    torch.testing.assert_close(net(turned, c if context else None), net(x, c if context else None))


@pytest.mark.parametrize("circular", [(), (0,), (1, 2)])
def test_sequential_is_the_same_net(circular):
    torch.manual_seed(0)
    net = MADE(4, 2, (6, 5), embedding=CircularEmbedding(4, circular)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, 0.5)
    x, params = net.sequential(lambda feature, p: p[..., 0] - p[..., 1] + feature, torch.Size([7]))
    torch.testing.assert_close(params, net(x), rtol=1e-12, atol=1e-12)


def test_a_plain_net_behind_an_embedding_is_periodic():
    net = Embedded(CircularEmbedding(2, (0,)), MLP(3, 2, (8,)))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    x = torch.randn(5, 2)
    turned = x + torch.tensor([2.0 * math.pi, 0.0])
    torch.testing.assert_close(net(turned), net(x), rtol=1e-4, atol=1e-4)
    assert (net(x + torch.tensor([0.0, 1.0])) - net(x)).abs().max() > 1e-3


def test_angles_that_are_no_features():
    with pytest.raises(UsageError, match="numbers from 0 to 1"):
        CircularEmbedding(2, (2,))
