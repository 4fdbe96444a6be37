"""Autoregressive layers: the cost of the inverse, and the identity at the start."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from logpx.transforms import Autoregressive, RationalQuadraticFunction


def flops(call, *arguments):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(*arguments)
    return counter.get_total_flops()


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("features", [2, 8, 43])
def test_the_inverse_costs_no_more_arithmetic_than_one_evaluation_of_the_net(features, context):
    layer = Autoregressive(features, hidden=(64, 64), context=context)
    x = torch.randn(16, features)
    arguments = (x, torch.randn(16, context)) if context else (x,)
    assert flops(layer.inverse, *arguments) <= flops(layer.forward, *arguments)


def test_an_untrained_layer_is_the_identity():
    x = torch.randn(10, 3)
    z, ladj = Autoregressive(3).forward(x)
    assert torch.equal(z, x)
    assert not ladj.any()
    z, ladj = Autoregressive(3, RationalQuadraticFunction()).forward(x)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(ladj, torch.zeros(10), rtol=0, atol=1e-5)


def test_a_far_outlier_leaves_the_other_features_alone():
    layer = Autoregressive(3, hidden=(16,))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0.0, 0.1)
    # The outlier enters the nets as a logarithm: the features after it are moved by tens, not by 1e30.
    z, ladj = layer.forward(torch.tensor([[1e30, 0.0, 0.0]]))
    assert z[0, 1:].abs().max() < 1e3 * torch.exp(torch.tensor(2 * 6.9))
    assert ladj.abs() < 3 * 6.91


def test_hidden_layers_are_needed():
    with pytest.raises(ValueError, match="hidden layer"):
        Autoregressive(3, hidden=())
