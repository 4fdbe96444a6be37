"""The rational-quadratic spline through given knots: its formula, its knots, its tails."""

import pytest
import torch

from logpx.transforms.univariate import rational_quadratic


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
