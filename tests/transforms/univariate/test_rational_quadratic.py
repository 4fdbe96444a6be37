"""The rational-quadratic spline: its formula, its knots, and the limits of single precision."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import RationalQuadraticFunction
from logpx.transforms.univariate import rational_quadratic


def function_and_params(scale=1.0, rows=64, dtype=torch.float64, bins=8, bound=5.0):
    spline = RationalQuadraticFunction(bins, bound)
    generator = torch.Generator().manual_seed(0)
    params = scale * torch.randn(rows, spline.parameters, generator=generator, dtype=torch.float64)
    return spline, params.to(dtype)


def test_formula_in_one_bin():
    # Gregory and Delbourgo with slopes 1/2 and 2 on [0, 2] -> [0, 3], at the middle of the bin.
    knots_x, knots_y = torch.tensor([0.0, 2.0]).double(), torch.tensor([0.0, 3.0]).double()
    slopes = torch.tensor([0.5, 2.0]).double()
    y, log_derivative = rational_quadratic(torch.tensor([1.0]).double(), knots_x, knots_y, slopes)
    s, d0, d1, xi = 1.5, 0.5, 2.0, 0.5
    down = s + (d0 + d1 - 2 * s) * xi * (1 - xi)
    assert y.item() == pytest.approx(3.0 * (s * xi**2 + d0 * xi * (1 - xi)) / down)
    up = s**2 * (d1 * xi**2 + 2 * s * xi * (1 - xi) + d0 * (1 - xi) ** 2)
    assert log_derivative.exp().item() == pytest.approx(up / down**2)


def test_values_and_slopes_at_the_knots():
    knots_x = torch.tensor([-2.0, -1.0, 0.5, 3.0]).double()
    knots_y = torch.tensor([-5.0, 0.0, 0.1, 7.0]).double()
    slopes = torch.tensor([0.3, 2.0, 0.01, 4.0]).double()
    y, log_derivative = rational_quadratic(knots_x, knots_x, knots_y, slopes)
    torch.testing.assert_close(y, knots_y)
    torch.testing.assert_close(log_derivative.exp(), slopes)
    x, log_derivative = rational_quadratic(knots_y, knots_x, knots_y, slopes, inverse=True)
    torch.testing.assert_close(x, knots_x)
    torch.testing.assert_close(log_derivative.exp(), 1.0 / slopes)


def test_tails_go_on_linearly():
    knots = torch.tensor([-1.0, 1.0]).double()
    slopes = torch.tensor([0.5, 3.0]).double()
    x = torch.tensor([-11.0, 1.0, 1e30]).double()
    y, log_derivative = rational_quadratic(x, knots, knots, slopes)
    torch.testing.assert_close(y, torch.tensor([-6.0, 1.0, 3e30]).double())
    torch.testing.assert_close(log_derivative.exp(), torch.tensor([0.5, 3.0, 3.0]).double())


def test_identity_outside_its_bound_and_at_zero_parameters():
    spline, params = function_and_params()
    x = torch.cat([torch.linspace(5.0, 1e3, 32), -torch.linspace(5.0, 1e3, 32)]).double()
    torch.testing.assert_close(spline(x, params)[0], x)
    x = torch.linspace(-6.0, 6.0, 64).double()
    torch.testing.assert_close(spline(x, torch.zeros_like(params))[0], x)


def test_increasing():
    for scale in (1.0, 10.0):
        spline, params = function_and_params(scale, rows=20)
        x = torch.linspace(-7.0, 7.0, 5001).double()
        y, _ = spline(x.expand(20, -1), params[:, None].expand(-1, 5001, -1))
        assert (y.diff() > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 1e3, 1e30])
@pytest.mark.parametrize("inverse", [False, True])
def test_finite_on_the_knots_and_one_step_beside_them(dtype, scale, inverse):
    spline, params = function_and_params(scale, rows=100, dtype=dtype)
    sizes = params[:, 8:16] if inverse else params[:, :8]
    knots = spline._knots(sizes)
    far = torch.full_like(knots, torch.inf)
    points = torch.cat([knots, torch.nextafter(knots, far), torch.nextafter(knots, -far), 1e30 * knots], 1)
    points.requires_grad_()
    params = params[:, None].expand(-1, points.shape[1], -1).clone().requires_grad_()
    y, log_derivative = spline(points, params, inverse)
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_derivative).all()
    for values in (y, log_derivative):
        for gradient in torch.autograd.grad(values.sum(), [points, params], retain_graph=True):
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0, 10.0])
def test_round_trip_in_single_precision(scale):
    spline, params = function_and_params(scale, rows=100_000, dtype=torch.float32)
    x = 3.0 * torch.randn(100_000)
    y, log_derivative = spline(x, params)
    back, _ = spline(y, params, inverse=True)
    # As close as the rounding of one side allows, magnified by the slope between the two.
    allowed = 5.0 * torch.finfo(torch.float32).eps
    for error, slope in (
        ((spline(back, params)[0] - y).abs(), log_derivative),
        ((back - x).abs(), -log_derivative),
    ):
        in_units = error / (allowed * (1.0 + slope.exp()))
        assert in_units.quantile(0.999) < 2.0
        assert in_units.max() < 40.0


@pytest.mark.parametrize(("scale", "largest"), [(0.1, 1e-13), (1.0, 1e-11), (10.0, 1e-7)])
def test_round_trip_in_double_precision(scale, largest):
    spline, params = function_and_params(scale, rows=100_000)
    x = 3.0 * torch.randn(100_000, dtype=torch.float64)
    assert (spline(spline(x, params)[0], params, inverse=True)[0] - x).abs().max() < largest


def test_gradients_are_right():
    spline, params = function_and_params(rows=6, bins=4)
    x = torch.tensor([-7.0, -2.0, -0.3, 0.4, 2.0, 7.0], dtype=torch.float64, requires_grad=True)
    params = params.requires_grad_()
    for inverse in (False, True):
        assert torch.autograd.gradcheck(lambda a, b, i=inverse: spline(a, b, i), (x, params))


def test_all_inside_all_outside_and_none():
    spline, params = function_and_params()
    for x in (torch.zeros(64), torch.full((64,), 9.0), -torch.full((64,), 9.0)):
        assert torch.isfinite(spline(x.double(), params)[0]).all()
    assert spline(torch.zeros(0).double(), params[:0])[0].shape == (0,)


@pytest.mark.parametrize(("bins", "bound"), [(0, 5.0), (8, 0.0), (8, -1.0), (8, float("nan")), (1000, 5.0)])
def test_a_spline_that_is_none(bins, bound):
    with pytest.raises(UsageError, match="spline"):
        RationalQuadraticFunction(bins, bound)


def test_one_bin_is_the_identity():
    spline = RationalQuadraticFunction(bins=1)
    x = torch.linspace(-9.0, 9.0, 50).double()
    torch.testing.assert_close(spline(x, torch.randn(50, spline.parameters).double())[0], x)
