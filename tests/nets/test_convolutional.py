"""Convolutional net: shapes, the context at every pixel, and against a net of torch's own layers."""

import pytest
import torch
from torch.nn import functional

from logpx.errors import UsageError
from logpx.nets import ACTIVATIONS, ConvolutionalResNet


def randomised(net, scale=0.3):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, scale)
    return net.double()


@pytest.mark.parametrize("rows", [(), (5,), (2, 3), (0,)])
@pytest.mark.parametrize("context", [0, 2])
def test_shapes(rows, context):
    net = ConvolutionalResNet(3, 5, width=4, blocks=1, context=context)
    c = torch.randn(*rows, context) if context else None
    assert net(torch.randn(*rows, 3, 6, 4), c).shape == (*rows, 5, 6, 4)


def test_output_starts_at_zero():
    net = ConvolutionalResNet(2, 3, width=4, context=2)
    assert not net(torch.randn(5, 2, 6, 6), torch.randn(5, 2)).any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_value_is_that_of_the_definition(activation):
    net = randomised(ConvolutionalResNet(2, 3, width=4, blocks=2, context=2, activation=activation))
    x = torch.randn(5, 2, 6, 4, dtype=torch.float64)
    c = torch.randn(5, 2, dtype=torch.float64)
    act = ACTIVATIONS[activation]
    bound = 30.0 / torch.pi

    def layer(part, h):
        y = functional.conv2d(functional.pad(h, (1, 1, 1, 1)), part.weight, part.bias)
        if part.context_weight is not None:
            y = (
                y
                + torch.einsum("nc,oc->no", bound * torch.atan(c / bound), part.context_weight)[
                    ..., None, None
                ]
            )
        return y

    h = layer(net.input, bound * torch.atan(x / bound))
    for first, second in ((block.first, block.second) for block in net.blocks):
        h = h + layer(second, act(layer(first, act(h))))
    torch.testing.assert_close(net(x, c), layer(net.output, act(h)), rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda x, c: net(x, c), (x.requires_grad_(), c.requires_grad_()), atol=1e-4
    )


def test_context_reaches_every_block_and_every_output():
    net = randomised(ConvolutionalResNet(1, 3, width=4, blocks=2, context=2))
    assert all(
        part.context_weight is not None
        for part in (net.input, *(block.first for block in net.blocks), net.output)
    )
    context = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    y = net(torch.randn(8, 1, 4, 4, dtype=torch.float64), context)
    for output in y.flatten(1).unbind(1):
        gradient = torch.autograd.grad(output.sum(), context, retain_graph=True)[0]
        assert (gradient.abs().amax(0) > 1e-9).all()


def test_one_context_for_all_rows():
    net = randomised(ConvolutionalResNet(1, 2, width=4, blocks=1, context=2))
    x, context = torch.randn(2, 3, 1, 4, 4, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    torch.testing.assert_close(net(x, context), net(x, context.expand(2, 3, 2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{"width": 0}, {"blocks": -1}, {"blocks": 1.5}, {"activation": "sin"}])
def test_arguments_that_cannot_be_meant(options):
    with pytest.raises(UsageError) as error:
        ConvolutionalResNet(1, 1, **options)
    assert error.value.fix


def test_a_missing_context_is_named():
    with pytest.raises(UsageError, match="context"):
        ConvolutionalResNet(1, 1, width=4, context=2)(torch.zeros(3, 1, 4, 4))
