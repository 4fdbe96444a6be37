"""Fully connected nets: zero at the start, and the context reaches every output."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.nets import ACTIVATIONS, MLP, ResidualMLP

NETS = {
    "plain": lambda context, activation="relu": MLP(3, 4, (8, 1), context, activation=activation),
    "linear": lambda context, activation="relu": MLP(3, 4, (), context, activation=activation),
    "residual": lambda context, activation="relu": ResidualMLP(
        3, 4, 8, 2, context=context, activation=activation
    ),
}


@pytest.fixture(params=NETS)
def build(request):
    return NETS[request.param]


@pytest.mark.parametrize("context", [0, 2])
def test_outputs_start_at_zero(build, context):
    c = torch.randn(5, context) if context else None
    assert not build(context)(torch.randn(5, 3), c).any()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_all_inputs_and_contexts_reach_all_outputs(build, activation):
    net = build(2, activation).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, 0.5)
    seen = torch.zeros(4, 5)
    for _ in range(8):
        arguments = torch.randn(3, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
        seen += torch.cat(torch.autograd.functional.jacobian(net, arguments), 1).abs() > 1e-12
    assert (seen > 0).all()


def test_a_context_that_is_missing(build):
    with pytest.raises(UsageError, match="context"):
        build(2)(torch.zeros(5, 3))


def test_nothing_but_a_context():
    net = MLP(0, 2, (4,), context=3)
    assert net(torch.zeros(5, 0), torch.zeros(5, 3)).shape == (5, 2)


@pytest.mark.parametrize("hidden", [64, (0,), (-2,), "88"])
def test_widths_that_are_none(hidden):
    with pytest.raises(UsageError, match="hidden"):
        MLP(3, 2, hidden)
