"""The masked net: what each output sees, and that finding the inputs in order is the same net."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.nets import MADE
from logpx.nets.layers import damp

SHAPES = [(5, (8, 8)), (5, (1,)), (5, (2, 1, 3)), (1, (4,)), (2, (3, 3)), (9, (4, 30))]


def randomised(net):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, 0.5)
    return net.double()


@pytest.mark.parametrize(("features", "hidden"), SHAPES)
@pytest.mark.parametrize("context", [0, 2])
def test_output_i_sees_all_inputs_before_i_and_no_other(features, hidden, context):
    net = randomised(MADE(features, 3, hidden, context, activation="tanh"))
    x = torch.randn(features, dtype=torch.float64)
    c = torch.randn(context, dtype=torch.float64)
    found = torch.autograd.functional.jacobian(net, (x, c) if context else (x,))
    seen = found[0].abs().amax(1) > 1e-12
    assert torch.equal(seen, torch.ones(features, features).tril(-1).bool())
    if context:
        assert (found[1].abs() > 1e-12).all()


@pytest.mark.parametrize(("features", "hidden"), [(5, (8, 8)), (2, (3, 3)), (9, (12, 30))])
@pytest.mark.parametrize("context", [0, 2])
def test_hidden_units_alone_carry_every_dependence_where_they_are_as_many_as_features(
    features, hidden, context
):
    net = randomised(MADE(features, 1, hidden, context, activation="tanh"))
    with torch.no_grad():
        net.skip.zero_()
    c = torch.zeros(context, dtype=torch.float64)
    x = torch.ones(features, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: net(x, c)[:, 0], x)
    assert torch.equal(jacobian.abs() > 1e-12, torch.ones(features, features).tril(-1).bool())


@pytest.mark.parametrize(("features", "hidden"), SHAPES)
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("rows", [(7,), (2, 3), ()])
def test_sequential_finds_the_inputs_that_the_net_describes(features, hidden, context, rows):
    net = randomised(MADE(features, 2, hidden, context))
    c = torch.randn(*rows, context, dtype=torch.float64) if context else None
    order = []

    def solve(feature, params):
        order.append(feature)
        return params[..., 0] - params[..., 1] + feature

    x, params = net.sequential(solve, torch.Size(rows), c)
    assert order == list(range(features))
    torch.testing.assert_close(params, net(x, c), rtol=1e-12, atol=1e-12)
    expected = params[..., 0] - params[..., 1] + torch.arange(features)
    torch.testing.assert_close(x, expected, rtol=1e-12, atol=1e-12)


def test_sequential_computes_every_hidden_unit_once():
    net = MADE(6, 2, hidden=(10, 12))
    units = []
    net.activation = lambda h: units.append(h.shape[-1]) or torch.relu(h)
    net.sequential(lambda feature, params: params[..., 0], torch.Size([3]))
    assert sum(units) == 22


def test_outputs_start_at_zero():
    assert not MADE(4, 3, (8,), context=2)(torch.randn(5, 4), torch.randn(5, 2)).any()


@pytest.mark.parametrize("hidden", [(), 64, (0,), (-1, 3), (2.5,)])
def test_widths_that_are_none(hidden):
    with pytest.raises(UsageError, match="hidden"):
        MADE(3, 2, hidden)


def test_an_activation_that_is_none():
    with pytest.raises(UsageError, match="softly") as error:
        MADE(3, 2, (4,), activation="softly")
    assert "relu" in error.value.fix


@pytest.mark.parametrize("rows", [(5,), (2, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_damping_inside_the_products_changes_nothing(rows, dtype, tolerance):
    torch.manual_seed(0)
    net = MADE(4, 3, hidden=(16, 16)).to(dtype)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    x = (10.0 * torch.randn(*rows, 4, dtype=dtype)).requires_grad_()
    inputs = [x, *net._tensors()]
    outcomes = []
    for y in (net(x), net._composed(damp(x), *net._tensors()).view(*rows, 4, 3)):
        outcomes.append([y, *torch.autograd.grad(y.square().sum(), inputs)])
    for found, expected in zip(*outcomes, strict=True):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * max(scale, 1.0))
