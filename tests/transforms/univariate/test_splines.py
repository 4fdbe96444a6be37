"""Splines on the line, on an interval and on a circle: their domains, and the limits of single precision."""

import functools
import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import (
    AffineFunction,
    BoundedRationalQuadraticFunction,
    CircularRationalQuadraticFunction,
    RationalQuadraticFunction,
    SumOfSquaresFunction,
)
from logpx.transforms.univariate.splines import wrap

LINE = RationalQuadraticFunction(bins=8, bound=5.0)
INTERVAL = BoundedRationalQuadraticFunction(bins=8, lower=-5.0, upper=5.0)
CIRCLE = CircularRationalQuadraticFunction(bins=8, period=10.0)
SPLINES = [LINE, INTERVAL, CIRCLE]
NAMES = ["line", "interval", "circle"]


@pytest.fixture(params=SPLINES, ids=NAMES)
def spline(request):
    return request.param


@functools.cache
def standard_normal(rows, columns):
    """Draw once what many tests start from; none changes it."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def draw_params(spline, scale=1.0, rows=64, dtype=torch.float64):
    return (scale * standard_normal(rows, spline.parameters)).to(dtype)


def difference(spline, a, b):
    """Return the distance of two values, around the circle where there is one."""
    return wrap(a - b, 10.0) if spline is CIRCLE else a - b


def test_identity_outside_its_bound():
    x = torch.cat([torch.linspace(5.0, 1e3, 32), -torch.linspace(5.0, 1e3, 32)]).double()
    torch.testing.assert_close(LINE(x, draw_params(LINE))[0], x)


def test_identity_at_zero_parameters(spline):
    x = torch.linspace(-5.0, 4.999, 64).double()
    y, log_derivative = spline(x, torch.zeros_like(draw_params(spline)))
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(log_derivative, torch.zeros_like(x), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_increasing_and_onto_the_same_interval(scale):
    for spline in (LINE, INTERVAL):
        params = draw_params(spline, scale, rows=20)
        x = torch.linspace(-5.0, 5.0, 5001).double()
        y, _ = spline(x.expand(20, -1), params[:, None].expand(-1, 5001, -1))
        assert (y.diff() > 0).all()
        torch.testing.assert_close(y[:, 0], torch.full((20,), -5.0).double())
        torch.testing.assert_close(y[:, -1], torch.full((20,), 5.0).double())


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_once_around_the_circle(scale):
    params = draw_params(CIRCLE, scale, rows=20)
    x = torch.linspace(-5.0, 5.0, 5001).double()
    y, _ = CIRCLE(x.expand(20, -1), params[:, None].expand(-1, 5001, -1))
    steps = wrap(y.diff(), 10.0)
    assert ((y >= -5.0) & (y < 5.0)).all()
    assert (steps > 0.0).all()
    torch.testing.assert_close(steps.sum(1), torch.full((20,), 10.0).double())


@pytest.mark.parametrize("inverse", [False, True])
def test_value_and_slope_are_continuous_across_the_seam(inverse):
    params = draw_params(CIRCLE, 2.0)
    seam = torch.full((64,), -5.0).double()
    here, before, around = (CIRCLE(seam + shift, params, inverse) for shift in (0.0, -1e-9, 10.0))
    torch.testing.assert_close(here, around, rtol=0.0, atol=1e-12)
    assert wrap(here[0] - before[0], 10.0).abs().max() < 1e-6
    assert (here[1] - before[1]).abs().max() < 1e-6


def test_the_rotation_reaches_every_angle():
    params = torch.zeros(100, CIRCLE.parameters).double()
    params[:, -1] = torch.linspace(-math.pi, math.pi, 100).double()
    y, log_derivative = CIRCLE(torch.zeros(100).double(), params)
    torch.testing.assert_close(y[1:-1], torch.linspace(-5.0, 5.0, 100).double()[1:-1])
    assert not log_derivative.abs().gt(1e-12).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 1e3, 1e30])
@pytest.mark.parametrize("inverse", [False, True])
def test_finite_on_the_knots_and_one_step_beside_them(spline, dtype, scale, inverse):
    params = draw_params(spline, scale, rows=50, dtype=dtype)
    # The sizes of the bins before a knot add up: 0.1 / 8 each, and 0.9 of a softmax at 0.4 of its argument.
    sizes = params[:, 8:16] if inverse else params[:, :8]
    knots = -5.0 + 10.0 * torch.cumsum(0.0125 + 0.9 * torch.softmax(0.4 * sizes, -1), -1)
    knots = torch.cat([torch.full_like(knots[:, :1], -5.0), knots, torch.full_like(knots[:, :1], 5.0)], 1)
    far = torch.full_like(knots, torch.inf)
    beside = [torch.nextafter(knots, far), torch.nextafter(knots, -far)]
    points = torch.cat([knots, *beside, 1e30 * knots], 1).requires_grad_()
    params = params[:, None].expand(-1, points.shape[1], -1).clone().requires_grad_()
    y, log_derivative = spline(points, params, inverse)
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_derivative).all()
    for values in (y, log_derivative):
        for gradient in torch.autograd.grad(values.sum(), [points, params], retain_graph=True):
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "bins", [1, 2, 4, 16, *(pytest.param(bins, marks=pytest.mark.slow) for bins in (32, 64))]
)
@pytest.mark.parametrize("inverse", [False, True])
def test_round_trip_in_single_precision_whatever_the_number_of_bins(bins, inverse):
    spline = RationalQuadraticFunction(bins)
    x = 10.0 * torch.rand(100_000, generator=torch.Generator().manual_seed(1)) - 5.0
    for scale, largest in ((1.0, 1e-5), (10.0, 1e-3)):
        params = draw_params(spline, scale, rows=100_000, dtype=torch.float32)
        back, _ = spline(spline(x, params, inverse)[0], params, not inverse)
        assert (back - x).abs().max() <= largest


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("scale", "largest"), [(0.1, 2e-6), (1.0, 1e-5), (3.0, 1e-3), (10.0, 1e-3), (100.0, 1e-3)]
)
def test_round_trip_in_single_precision(spline, scale, largest, inverse):
    params = draw_params(spline, scale, rows=100_000, dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    x = 10.0 * torch.rand(100_000, generator=generator) - 5.0
    y, log_derivative = spline(x, params, inverse)
    back, _ = spline(y, params, not inverse)
    error = difference(spline, back, x).abs()
    assert error.max() <= largest
    # As close as the rounding of both sides allows, the other one magnified by the slope between the two.
    unit = 5.0 * torch.finfo(torch.float32).eps
    in_units = error / (unit * (1.0 + torch.exp(-log_derivative)))
    assert in_units.max() < 5.0
    assert in_units.quantile(0.99) < 1.5


def test_slopes_stay_within_what_single_precision_can_invert(spline):
    params = draw_params(spline, 100.0, rows=100_000)
    x = 10.0 * torch.rand(100_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 5.0
    _, log_derivative = spline(x, params)
    assert log_derivative.min() > math.log(2e-4)
    assert log_derivative.max() < math.log(3e3)


@pytest.mark.parametrize(("scale", "largest"), [(0.1, 1e-13), (1.0, 1e-13), (10.0, 1e-11)])
def test_round_trip_in_double_precision(spline, scale, largest):
    params = draw_params(spline, scale, rows=100_000)
    x = 3.0 * torch.randn(100_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    back = spline(spline(x, params)[0], params, inverse=True)[0]
    assert difference(spline, back, x).abs().max() < largest


def test_gradients_are_right(spline):
    params = draw_params(spline, rows=6).requires_grad_()
    x = torch.tensor([-4.0, -2.0, -0.3, 0.4, 2.0, 4.7], dtype=torch.float64, requires_grad=True)
    for inverse in (False, True):
        assert torch.autograd.gradcheck(lambda a, b, i=inverse: spline(a, b, i), (x, params))


def test_gradients_are_right_in_the_tails():
    params = draw_params(LINE, rows=2).requires_grad_()
    x = torch.tensor([-7.0, 9.0], dtype=torch.float64, requires_grad=True)
    for inverse in (False, True):
        assert torch.autograd.gradcheck(lambda a, b, i=inverse: LINE(a, b, i), (x, params))


def test_all_inside_all_outside_and_none(spline):
    params = draw_params(spline)
    for x in (torch.zeros(64), torch.full((64,), 9.0), -torch.full((64,), 9.0)):
        assert torch.isfinite(spline(x.double(), params)[0]).all()
    assert spline(torch.zeros(0).double(), params[:0])[0].shape == (0,)


@pytest.mark.parametrize(("bins", "bound"), [(0, 5.0), (8, 0.0), (8, -1.0), (8, float("nan")), (1000, 5.0)])
def test_a_spline_that_is_none(bins, bound):
    with pytest.raises(UsageError, match="expected"):
        RationalQuadraticFunction(bins, bound)


@pytest.mark.parametrize(("bins", "lower", "upper"), [(0, 0.0, 1.0), (8, 1.0, 1.0), (8, 0.0, math.inf)])
def test_an_interval_that_is_none(bins, lower, upper):
    with pytest.raises(UsageError, match="expected"):
        BoundedRationalQuadraticFunction(bins, lower, upper)


@pytest.mark.parametrize(("bins", "period"), [(0, 1.0), (8, 0.0), (8, math.nan), (8, math.inf)])
def test_a_circle_that_is_none(bins, period):
    with pytest.raises(UsageError, match="expected"):
        CircularRationalQuadraticFunction(bins, period)


def test_one_bin():
    x = torch.linspace(-9.0, 9.0, 50).double()
    line = RationalQuadraticFunction(bins=1)
    torch.testing.assert_close(line(x, torch.randn(50, line.parameters).double())[0], x)
    circle = CircularRationalQuadraticFunction(bins=1)
    back = circle(*circle_call(circle, x), inverse=True)[0]
    torch.testing.assert_close(wrap(back - x, circle.period), torch.zeros(50).double(), atol=1e-12, rtol=0.0)


def circle_call(circle, x):
    params = torch.randn(50, circle.parameters, generator=torch.Generator().manual_seed(0)).double()
    return circle(x, params)[0], params


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("period", [2.0 * math.pi, 24.0, 0.1])
def test_wrapping_stays_inside_and_keeps_what_is_inside(dtype, period):
    half = torch.tensor(0.5 * period, dtype=dtype)
    edges = torch.stack([half, -half, torch.nextafter(half, 2 * half), torch.nextafter(-half, -2 * half)])
    x = torch.cat([torch.linspace(-9.0 * period, 9.0 * period, 10_001, dtype=dtype), edges])
    wrapped = wrap(x, period)
    assert ((wrapped >= -half) & (wrapped < half)).all()
    assert torch.equal(wrap(wrapped, period), wrapped)
    turns = (x - wrapped) / period
    torch.testing.assert_close(turns, turns.round(), rtol=0.0, atol=2e-5)
    assert torch.isfinite(wrap(torch.tensor([1e30, -1e30], dtype=dtype), period)).all()


@pytest.mark.parametrize("scale", [0.0, 1.0])
@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize(
    "function",
    [*SPLINES, SumOfSquaresFunction(bound=5.0), AffineFunction()],
    ids=[*NAMES, "squares", "affine"],
)
def test_the_autodiff_derivative_where_branches_meet(function, inverse, scale):
    # At zero parameters these are the knots, the middles of bins and both ends; else the ends are.
    x = torch.linspace(-10.0, 10.0, 65, dtype=torch.float64).requires_grad_()
    params = (scale * draw_params(function, rows=1)).expand(65, -1)
    y, log_derivative = function(x, params, inverse)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(derivative.log(), log_derivative, rtol=1e-9, atol=1e-9)
