"""Convolutional encoder and decoder: shapes of any size, the context, and against torch's own layers."""

import pytest
import torch
from torch.nn import functional

from logpx.distributions.likelihoods import DiscretisedLogisticLikelihood
from logpx.errors import UsageError
from logpx.latent import VAE
from logpx.nets import ConvolutionalDecoder, ConvolutionalEncoder

SIZES = [(1, 1, 1), (1, 1, 2), (3, 7, 9), (1, 5, 4), (2, 8, 8)]


def randomised(net, scale=0.3):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0.0, scale)
    return net.double()


def damped(x):
    return 30.0 / torch.pi * torch.atan(x * torch.pi / 30.0)


def layer(part, h, c=None, stride=1):
    y = functional.conv2d(functional.pad(h, (1, 1, 1, 1)), part.weight, part.bias, stride=stride)
    if part.context_weight is not None:
        y = y + torch.einsum("nc,oc->no", damped(c), part.context_weight)[..., None, None]
    return y


def block(part, h, c):
    return h + layer(part.second, functional.relu(layer(part.first, functional.relu(h), c)))


@pytest.mark.parametrize("hidden", [(), (4,), (4, 6, 5)])
@pytest.mark.parametrize("rows", [(), (5,), (2, 3), (0,)])
@pytest.mark.parametrize("shape", SIZES)
def test_shapes(shape, rows, hidden):
    for context in (0, 2):
        c = torch.randn(*rows, context) if context else None
        encoder = ConvolutionalEncoder(shape, 6, hidden, context)
        assert encoder(torch.randn(*rows, *shape), c).shape == (*rows, 6)
        decoder = ConvolutionalDecoder(3, shape, 2, hidden, context=context)
        assert decoder(torch.randn(*rows, 3), c).shape == (*rows, 2 * shape[0], *shape[1:])


def test_output_starts_at_zero():
    x, z, c = torch.randn(5, 2, 6, 5), torch.randn(5, 3), torch.randn(5, 2)
    assert not ConvolutionalEncoder((2, 6, 5), 4, (4, 4), context=2)(x, c).any()
    assert not ConvolutionalDecoder(3, (2, 6, 5), 2, (4, 4), context=2)(z, c).any()


def test_encoder_is_what_it_says():
    net = randomised(ConvolutionalEncoder((2, 5, 4), 3, hidden=(4, 6), context=2))
    x = torch.randn(5, 2, 5, 4, dtype=torch.float64)
    c = torch.randn(5, 2, dtype=torch.float64)
    h = damped(x)
    for halve, part in zip(net.halving, net.blocks, strict=True):
        h = functional.relu(block(part, layer(halve, h, c, stride=2), c))
    assert h.shape == (5, 6, 2, 1)
    expected = (
        h.flatten(1) @ net.output.weight.mT + net.output.bias + damped(c) @ net.output.context_weight.mT
    )
    torch.testing.assert_close(net(x, c), expected, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda x, c: net(x, c), (x.requires_grad_(), c.requires_grad_()), atol=1e-4
    )


def test_decoder_is_what_it_says():
    net = randomised(ConvolutionalDecoder(3, (2, 5, 7), numbers=2, hidden=(6, 4), context=2))
    z, c = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    h = damped(z) @ net.input.weight.mT + net.input.bias + damped(c) @ net.input.context_weight.mT
    h = h.view(5, 6, 2, 2)
    for part, double, (height, width) in zip(net.blocks, net.doubling, [(3, 4), (5, 7)], strict=True):
        y = layer(double, functional.relu(block(part, h, c)), c)
        # Each channel is made of four, for the pixels of a square.
        y = y.view(5, -1, 2, 2, *y.shape[2:]).permute(0, 1, 4, 2, 5, 3)
        h = y.reshape(5, -1, 2 * h.shape[2], 2 * h.shape[3])[..., :height, :width]
    torch.testing.assert_close(net(z, c), h, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda z, c: net(z, c), (z.requires_grad_(), c.requires_grad_()), atol=1e-4
    )


@pytest.mark.parametrize("shape", SIZES)
def test_every_pixel_is_seen_and_made(shape):
    encoder = randomised(ConvolutionalEncoder(shape, 3, hidden=(8, 8), activation="tanh"))
    x = torch.randn(3, *shape, dtype=torch.float64, requires_grad=True)
    encoder(x).sum().backward()
    assert (x.grad.abs().amax(0) > 1e-9).all()
    decoder = randomised(ConvolutionalDecoder(3, shape, 2, hidden=(8, 8), activation="tanh"))
    z = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    for output in decoder(z).flatten(1).unbind(1):
        gradient = torch.autograd.grad(output.sum(), z, retain_graph=True)[0]
        assert (gradient.abs() > 1e-9).all()


def test_rows_do_not_depend_on_each_other():
    encoder = randomised(ConvolutionalEncoder((1, 5, 5), 3, hidden=(4, 4)))
    decoder = randomised(ConvolutionalDecoder(3, (1, 5, 5), hidden=(4, 4)))
    x, z = torch.randn(2, 3, 1, 5, 5, dtype=torch.float64), torch.randn(2, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(encoder(x)[1, 2], encoder(x[1, 2]))
    torch.testing.assert_close(decoder(z)[1, 2], decoder(z[1, 2]))


def test_one_context_for_all_rows():
    context = torch.randn(2, dtype=torch.float64)
    encoder = randomised(ConvolutionalEncoder((1, 5, 5), 3, hidden=(4,), context=2))
    decoder = randomised(ConvolutionalDecoder(3, (1, 5, 5), hidden=(4,), context=2))
    x, z = torch.randn(2, 3, 1, 5, 5, dtype=torch.float64), torch.randn(2, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(encoder(x, context), encoder(x, context.expand(2, 3, 2)))
    torch.testing.assert_close(decoder(z, context), decoder(z, context.expand(2, 3, 2)))


def test_outputs_are_in_the_order_of_a_likelihood():
    likelihood = DiscretisedLogisticLikelihood((3, 5, 4), levels=16)
    decoder = randomised(ConvolutionalDecoder(2, (3, 5, 4), likelihood.numbers, hidden=(4,))).float()
    encoder = ConvolutionalEncoder((3, 5, 4), 4, hidden=(4,))
    vae = VAE(likelihood, 2, encoder=encoder, decoder=decoder, flatten=False)
    z = torch.randn(6, 7, 2)
    cells = vae.likelihood(z)
    raw = decoder(z)
    assert torch.equal(cells.base.location, raw[..., :3, :, :])
    assert torch.equal(cells.base.log_scale, raw[..., 3:, :, :].clamp(-7.0, 7.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvolutionalEncoder((8, 8), 3),
        lambda: ConvolutionalEncoder((1, 0, 8), 3),
        lambda: ConvolutionalEncoder((1, 8, 8), -1),
        lambda: ConvolutionalEncoder((1, 8, 8), 3, hidden=(0,)),
        lambda: ConvolutionalEncoder((1, 8, 8), 3, activation="sin"),
        lambda: ConvolutionalDecoder(0, (1, 8, 8)),
        lambda: ConvolutionalDecoder(3, 64),
        lambda: ConvolutionalDecoder(3, (1, 8, 8), numbers=0),
        lambda: ConvolutionalDecoder(3, (1, 8, 8), context=-1),
    ],
)
def test_arguments_that_cannot_be_meant(make):
    with pytest.raises(UsageError) as error:
        make()
    assert error.value.fix


def test_wrong_shapes_are_named():
    with pytest.raises(UsageError, match=r"ConvolutionalEncoder.*\(1, 8, 8\).*\(5, 64\)"):
        ConvolutionalEncoder((1, 8, 8), 3)(torch.zeros(5, 64))
    with pytest.raises(UsageError, match=r"ConvolutionalDecoder takes 3 features.*\(5, 4\)"):
        ConvolutionalDecoder(3, (1, 8, 8))(torch.zeros(5, 4))
    with pytest.raises(UsageError, match="context"):
        ConvolutionalDecoder(3, (1, 8, 8), context=2)(torch.zeros(5, 3))
    likelihood = DiscretisedLogisticLikelihood((1, 8, 8))
    encoder = ConvolutionalEncoder((1, 8, 8), 4)
    vae = VAE(likelihood, 2, encoder=encoder, decoder=ConvolutionalDecoder(2, (1, 8, 8)), flatten=False)
    with pytest.raises(UsageError, match=r"the decoder returns 64 numbers, where .* takes 128"):
        vae.likelihood(torch.zeros(5, 2))
