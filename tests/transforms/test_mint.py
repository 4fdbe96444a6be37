"""Mint layers: triangular, increasing, and an inverse that answers for itself."""

import pytest
import torch

from logpx.errors import NotConvergedError, UsageError
from logpx.transforms import MintLayer


def randomised(layer, scale=0.3, dtype=torch.float64):
    torch.manual_seed(0)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0.0, scale)
    return layer.to(dtype)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(5,), (1, 3, 4), (3, 2, 3)])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_jacobian_is_triangular_in_the_order_of_the_features_with_the_diagonal_that_ladj_sums(
    shape, reverse, scale
):
    layer = randomised(MintLayer(shape, hidden=3, reverse=reverse), scale)
    x = torch.randn(shape, dtype=torch.float64)
    size = x.numel()
    jacobian = torch.autograd.functional.jacobian(lambda x: layer.forward(x)[0], x).view(size, size)
    # Pixels as they are read, channels within a pixel.
    places = torch.arange(size).view(layer.image_shape).permute(1, 2, 0).flatten()
    jacobian = jacobian[places][:, places]
    assert not (jacobian.tril(-1) if reverse else jacobian.triu(1)).any()
    assert (jacobian.diagonal() > 0.0).all()
    torch.testing.assert_close(layer.forward(x)[1], jacobian.diagonal().log().sum(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("shape", [6, (2, 4, 4)])
def test_what_the_inverse_returns_is_mapped_to_what_it_was_given(shape, scale):
    # With large weights x itself is lost to rounding, the equation is not.
    layer = randomised(MintLayer(shape, hidden=4), scale)
    z = 3.0 * torch.randn(20, *layer.event_shape, dtype=torch.float64)
    x, ladj, certificate = layer.solve(z)
    found, back = layer.forward(x)
    assert (found - z).abs().max().item() <= 1.01 * certificate.residual + 1e-13
    assert certificate.residual < 1e-10
    torch.testing.assert_close(ladj, -back, rtol=1e-9, atol=1e-9)


def test_a_new_layer_inverts_in_a_few_sweeps_however_many_pixels_there_are():
    for side in (4, 16):
        layer = MintLayer((1, side, side))
        z = torch.randn(4, 1, side, side)
        assert layer.solve(z)[2].iterations <= 6


def test_two_layers_in_opposite_orders_let_every_feature_see_every_other():
    layers = [randomised(MintLayer((1, 4, 4), hidden=2, reverse=reverse)) for reverse in (False, True)]

    def both(x):
        return layers[1].forward(layers[0].forward(x)[0])[0]

    jacobian = torch.autograd.functional.jacobian(both, torch.randn(1, 4, 4, dtype=torch.float64))
    assert jacobian.ne(0.0).all()


def test_noise_that_is_not_finite_is_an_error_and_not_a_sample():
    z = torch.zeros(3, 2)
    z[1, 1] = torch.nan
    with pytest.raises(NotConvergedError, match="row 2"):
        MintLayer(2, hidden=2).inverse(z)


@pytest.mark.parametrize(
    "arguments",
    [
        {"event_shape": (2, 3)},
        {"event_shape": 3, "hidden": 0},
        {"event_shape": (1, 4, 4), "kernel": 2},
        {"event_shape": (1, 4, 4), "kernel": -1},
    ],
)
def test_what_is_no_layer(arguments):
    with pytest.raises(UsageError) as error:
        MintLayer(**arguments)
    assert error.value.fix
