"""Autoregressive convolutions: torch's convolution, triangular Jacobians, an inverse of H solves."""

import numpy as np
import pytest
import scipy.linalg
import torch

from logpx.errors import UsageError
from logpx.transforms import AutoregressiveConvolution, Inverse

REVERSE = [False, True]


def trained(event_shape, kernel=3, reverse=False, scale=0.2):
    """Return a convolution with parameters that training could have led to, in double precision."""
    convolution = AutoregressiveConvolution(event_shape, kernel, reverse).double()
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.normal_(0.0, scale)
    return convolution


def kernel_of(convolution):
    """Return the masked kernel as torch's convolution takes it."""
    channels, reach = convolution.event_shape[0], convolution.reach
    kernel = torch.zeros(channels, channels, 2 * reach + 1, 2 * reach + 1, dtype=torch.float64)
    kernel[:, :, :reach] = convolution.above.unflatten(1, (reach, -1)).permute(0, 3, 1, 2)
    kernel[:, :, reach, :reach] = convolution.left.movedim(1, 2)
    centre = convolution.centre
    kernel[:, :, reach, reach] = centre.tril(-1) + centre.diagonal().exp().diag()
    return kernel.flip(0, 1, 2, 3) if convolution.reverse else kernel


def raster_jacobian(convolution):
    """Return the Jacobian in the order row, column, channel."""
    x = torch.randn(1, *convolution.event_shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: convolution.forward(x)[0], x)
    size = x.numel()
    order = torch.arange(size).view(convolution.event_shape).permute(1, 2, 0).flatten()
    return jacobian.view(size, size)[order][:, order].detach().numpy()


@pytest.mark.parametrize("reverse", REVERSE)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("event_shape", [(3, 5, 6), (1, 1, 1), (2, 1, 4), (2, 4, 1)])
def test_is_torchs_convolution_with_a_masked_kernel(event_shape, kernel, reverse):
    convolution = trained(event_shape, kernel, reverse)
    x = torch.randn(4, *event_shape, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(x, kernel_of(convolution), padding=convolution.reach)
    torch.testing.assert_close(convolution.forward(x)[0], expected)


@pytest.mark.parametrize("reverse", REVERSE)
def test_jacobian_is_triangular_in_raster_order(reverse):
    convolution = trained((2, 4, 3), reverse=reverse)
    jacobian = raster_jacobian(convolution)
    np.testing.assert_array_equal(jacobian, np.triu(jacobian) if reverse else np.tril(jacobian))
    assert (jacobian.diagonal() > 0).all()
    ladj = convolution.forward(torch.zeros(2, 4, 3, dtype=torch.float64))[1]
    np.testing.assert_allclose(ladj.item(), np.log(jacobian.diagonal()).sum(), rtol=1e-12)


@pytest.mark.parametrize("reverse", REVERSE)
def test_inverse_is_that_of_the_dense_triangular_system(reverse):
    convolution = trained((2, 4, 3), reverse=reverse)
    jacobian = raster_jacobian(convolution)
    z = torch.randn(1, 2, 4, 3, dtype=torch.float64)
    x = convolution.inverse(z)[0].detach()
    right_side = z[0].permute(1, 2, 0).flatten().numpy()
    expected = scipy.linalg.solve_triangular(jacobian, right_side, lower=not reverse)
    np.testing.assert_allclose(x[0].permute(1, 2, 0).flatten(), expected, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("event_shape", [(3, 9, 7), (1, 28, 28), (4, 2, 2), (2, 1, 5), (2, 5, 1)])
def test_round_trip_is_exact(event_shape, kernel):
    # Weights that shrink with their number, so that the inverse is well-conditioned for any kernel.
    convolution = trained(event_shape, kernel, scale=0.5 / (event_shape[0] * kernel * kernel))
    x = torch.randn(6, *event_shape, dtype=torch.float64)
    z = convolution.forward(x)[0]
    torch.testing.assert_close(convolution.inverse(z)[0], x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(convolution.forward(convolution.inverse(x)[0])[0], x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("rows", "channels", "height", "width"), [(1, 1, 5, 9), (32, 1, 5, 9), (8, 3, 7, 4)])
def test_inverse_takes_one_solve_for_each_row_of_pixels(monkeypatch, rows, channels, height, width):
    calls = []
    solve = torch.linalg.solve_triangular

    def counting(matrix, columns, **options):
        calls.append((id(matrix), tuple(columns.shape)))
        return solve(matrix, columns, **options)

    monkeypatch.setattr(torch.linalg, "solve_triangular", counting)
    event_shape = (channels, height, width)
    AutoregressiveConvolution(event_shape).inverse(torch.randn(rows, *event_shape))
    assert [shape for _, shape in calls] == [(width * channels, rows)] * height
    # The same matrix each time.
    assert len({matrix for matrix, _ in calls}) == 1


@pytest.mark.parametrize("reverse", REVERSE)
def test_gradients_of_the_inverse_are_right(reverse):
    convolution = trained((2, 3, 2), reverse=reverse)
    names = [f"transform.{name}" for name, _ in convolution.named_parameters()]
    z = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)

    def inverse(z, *parameters):
        return torch.func.functional_call(Inverse(convolution), dict(zip(names, parameters, strict=True)), z)

    assert torch.autograd.gradcheck(inverse, (z, *convolution.parameters()))


@pytest.mark.parametrize("kernel", [0, 1, 2, 4, -3, 3.0])
def test_kernel_without_a_centre(kernel):
    with pytest.raises(UsageError, match="kernel"):
        AutoregressiveConvolution((2, 3, 3), kernel)


@pytest.mark.parametrize("shape", [3, (3, 4), (1, 3, 4, 4)])
def test_event_shape_that_is_no_image(shape):
    with pytest.raises(UsageError, match="image"):
        AutoregressiveConvolution(shape)
