"""The rational-quadratic spline through given knots: its formula, its knots, its tails."""

import pytest
import torch

from logpx.transforms.univariate.rational_quadratic import rational_quadratic


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


def random_spline(seed, dtype=torch.float64, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    widths, rises, slopes = (torch.randn(3, 12, generator=generator, dtype=torch.float64) * spread).exp()
    knots, heights = widths.cumsum(0) - 4, rises.cumsum(0) - 7
    return tuple(part.to(dtype) for part in (knots, heights, slopes))


def arguments(knots, count=4001):
    return torch.linspace(knots[0].item() - 3, knots[-1].item() + 3, count, dtype=knots.dtype)


@pytest.mark.parametrize("seed", range(5))
def test_passes_through_its_knots_with_the_given_slopes(seed):
    knots, heights, slopes = random_spline(seed)
    value, log_slope = rational_quadratic(knots, knots, heights, slopes)
    torch.testing.assert_close(value, heights, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_slope.exp(), slopes)


@pytest.mark.parametrize("seed", range(5))
def test_slope_is_that_of_autodiff_in_both_directions(seed):
    parts = random_spline(seed)
    x = arguments(parts[0]).requires_grad_()
    value, log_slope = rational_quadratic(x, *parts)
    (slope,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(log_slope.detach(), slope.log(), rtol=1e-9, atol=1e-9)
    _, inverse_slope = rational_quadratic(value.detach(), *parts, inverse=True)
    torch.testing.assert_close(inverse_slope, -log_slope.detach(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("dtype", "spread", "tolerance"),
    [(torch.float64, 1.0, 1e-12), (torch.float64, 3.0, 1e-10), (torch.float32, 1.0, 1e-4)],
)
@pytest.mark.parametrize("seed", range(5))
def test_round_trip(dtype, spread, tolerance, seed):
    parts = random_spline(seed, dtype, spread)
    x = arguments(parts[0])
    value, log_slope = rational_quadratic(x, *parts)
    again, _ = rational_quadratic(value, *parts, inverse=True)
    conditioning = 1 + x.abs() + value.abs() / log_slope.exp()
    assert ((again - x).abs() / conditioning).max() < tolerance
    assert (value.diff() >= 0).all()


@pytest.mark.parametrize("shape", [0, 1, 7])
def test_batches_wholly_inside_outside_or_empty(shape):
    parts = random_spline(0)
    for centre in (-1e3, 0.0, 1e3):
        x = torch.full((shape,), centre, dtype=torch.float64)
        value, log_slope = rational_quadratic(x, *parts)
        assert value.shape == log_slope.shape == (shape,)
        assert torch.isfinite(value).all()
        torch.testing.assert_close(rational_quadratic(value, *parts, inverse=True)[0], x)


def test_finite_gradients_at_extreme_arguments():
    parts = random_spline(1)
    x = torch.tensor(
        [0.0, -1e30, 1e30, 1e300, parts[0][0], parts[0][-1]], dtype=torch.float64
    ).requires_grad_()
    value, log_slope = rational_quadratic(x, *parts)
    (gradient,) = torch.autograd.grad((value + log_slope).sum(), x)
    assert torch.isfinite(gradient).all()
