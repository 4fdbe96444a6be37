"""The integral of a sum of squares: against quadrature, its tails, and its limits."""

import pytest
import torch
from scipy import integrate

from logpx.errors import UsageError
from logpx.transforms import SumOfSquaresFunction

FUNCTION = SumOfSquaresFunction(polynomials=3, degree=3, bound=4.0)


def draw_params(scale, rows=64, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return (scale * torch.randn(rows, FUNCTION.parameters, generator=generator, dtype=torch.float64)).to(
        dtype
    )


def test_the_value_is_the_integral_of_the_derivative():
    for params in draw_params(2.0, rows=5):
        for x in (-3.0, 0.5, 4.0):

            def slope(u, params=params):
                return FUNCTION(torch.tensor([u], dtype=torch.float64), params[None])[1].exp().item()

            value = FUNCTION(torch.tensor([x]).double(), params[None])[0].item()
            assert value - params[0].item() == pytest.approx(integrate.quad(slope, 0.0, x)[0], rel=1e-9)


def test_the_derivative_is_a_mean_of_squares():
    function = SumOfSquaresFunction(polynomials=2, degree=1, bound=2.0)
    params = torch.tensor([[7.0, 1e-3, 2e-3, -1e-3, 3e-3]]).double()
    t = 0.75
    squares = ((1.001 + 0.002 * t) ** 2 + (0.999 + 0.003 * t) ** 2) / 2.0
    y, log_slope = function(torch.tensor([2.0 * t]).double(), params)
    assert log_slope.exp().item() == pytest.approx((0.01 + squares) / 1.01, rel=1e-6)
    assert y.item() == pytest.approx(7.0 + 1.5, abs=0.01)


def test_increasing_and_linear_outside():
    params = draw_params(5.0, rows=30)
    x = torch.linspace(-6.0, 6.0, 2401, dtype=torch.float64)
    y, log_slope = FUNCTION(x.expand(30, -1), params[:, None].expand(-1, 2401, -1))
    assert (y.diff() > 0.0).all()
    for outside in (slice(0, 400), slice(2001, None)):
        assert y[:, outside].diff().diff().abs().max() < 1e-9
        assert log_slope[:, outside].diff().abs().max() < 1e-12


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1e30])
def test_round_trip_in_double_precision(scale):
    params = draw_params(scale, rows=20_000)
    params[:, 0] = params[:, 0].clamp(-10.0, 10.0)
    x = 3.0 * torch.randn(20_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y, log_slope = FUNCTION(x, params)
    back, log_of_inverse = FUNCTION(y, params, inverse=True)
    assert (back - x).abs().max() < 1e-10
    assert (log_of_inverse + log_slope).abs().max() < 1e-8


def test_round_trip_in_single_precision():
    params = draw_params(1.0, rows=50_000, dtype=torch.float32)
    x = 3.0 * torch.randn(50_000, generator=torch.Generator().manual_seed(1))
    y, log_slope = FUNCTION(x, params)
    error = (FUNCTION(y, params, inverse=True)[0] - x).abs()
    unit = torch.finfo(torch.float32).eps * (4.0 + x.abs() + (4.0 + y.abs()) * torch.exp(-log_slope))
    assert (error / unit).max() < 8.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inverse", [False, True])
def test_finite_everywhere(dtype, inverse):
    for scale in (0.0, 1.0, 1e3, 1e30):
        x = torch.tensor([0.0, 4.0, -4.0, 1e3, -1e30, 1e30], dtype=dtype).repeat(20).requires_grad_()
        params = draw_params(scale, rows=120, dtype=dtype)
        params[:, 0] = params[:, 0].clamp(-1e3, 1e3)
        params.requires_grad_()
        y, log_slope = FUNCTION(x, params, inverse)
        for values in (y, log_slope):
            assert torch.isfinite(values).all()
            for gradient in torch.autograd.grad(values.sum(), [x, params], retain_graph=True):
                assert torch.isfinite(gradient).all()


def test_gradients_are_right():
    params = draw_params(1.0, rows=5).requires_grad_()
    x = torch.tensor([-7.0, -2.0, 0.1, 3.0, 7.0], dtype=torch.float64, requires_grad=True)
    for inverse in (False, True):
        assert torch.autograd.gradcheck(lambda a, b, i=inverse: FUNCTION(a, b, i), (x, params))


@pytest.mark.parametrize(
    "arguments", [(0, 3, 5.0), (3, 0, 5.0), (3, 9, 5.0), (3, 3, 0.0), (3, 3, float("inf"))]
)
def test_a_function_that_is_none(arguments):
    with pytest.raises(UsageError, match="where a"):
        SumOfSquaresFunction(*arguments)
