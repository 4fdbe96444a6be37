"""Emerging convolutions: the two halves together see the full square, at 2 H solves for the inverse."""

import numpy as np
import pytest
import torch

from logpx.transforms import EmergingConvolution


def trained(event_shape, kernel=3):
    """Return a convolution with parameters that training could have led to, in double precision."""
    convolution = EmergingConvolution(event_shape, kernel).double()
    scale = 0.5 / (event_shape[0] * kernel)
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.normal_(0.0, scale)
    return convolution


@pytest.mark.parametrize("kernel", [3, 5])
def test_output_sees_every_pixel_of_the_square(kernel):
    convolution = trained((2, 9, 9), kernel)
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64, requires_grad=True)
    for channel in range(2):
        output = convolution.forward(x)[0][0, channel, 4, 4]
        seen = torch.autograd.grad(output, x)[0][0].abs() > 0
        reach = kernel // 2
        assert seen[:, 4 - reach : 5 + reach, 4 - reach : 5 + reach].all()


def test_halves_have_opposite_orders():
    assert [half.reverse for half in EmergingConvolution((2, 3, 3)).transforms] == [False, True]


def test_starts_as_the_identity():
    x = torch.randn(4, 2, 5, 3)
    z, ladj = EmergingConvolution((2, 5, 3)).forward(x)
    torch.testing.assert_close(z, x)
    assert not ladj.any()


@pytest.mark.parametrize("event_shape", [(3, 8, 8), (1, 28, 28), (12, 4, 4)])
def test_round_trip_is_exact(event_shape):
    convolution = trained(event_shape)
    x = torch.randn(5, *event_shape, dtype=torch.float64)
    z, ladj = convolution.forward(x)
    back, ladj_back = convolution.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ladj_back, -ladj, rtol=1e-12, atol=1e-12)


def test_ladj_is_that_of_the_whole_jacobian():
    convolution = trained((2, 3, 3))
    x = torch.randn(2, 3, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: convolution.forward(x)[0], x).view(18, 18)
    assert (np.abs(np.tril(jacobian, -1)).sum() > 0) & (np.abs(np.triu(jacobian, 1)).sum() > 0)
    np.testing.assert_allclose(
        convolution.forward(x)[1].item(), np.linalg.slogdet(jacobian.numpy())[1], atol=1e-11
    )


@pytest.mark.parametrize("rows", [1, 40])
def test_inverse_takes_two_solves_for_each_row_of_pixels(monkeypatch, rows):
    calls = []
    solve = torch.linalg.solve_triangular

    def counting(matrix, columns, **options):
        calls.append(tuple(columns.shape))
        return solve(matrix, columns, **options)

    monkeypatch.setattr(torch.linalg, "solve_triangular", counting)
    EmergingConvolution((2, 7, 5)).inverse(torch.randn(rows, 2, 7, 5))
    assert calls == [(10, rows)] * 14
