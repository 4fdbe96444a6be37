"""Splines of intervals, in few operators, are the general spline through the same knots."""

import math

import pytest
import torch

from logpx.transforms.univariate.interval_spline import interval_spline
from logpx.transforms.univariate.rational_quadratic import rational_quadratic

BINS, ELEMENTS, ENDS = 5, 40, (-2.0, 3.0)


def tables(dtype, straight):
    """Return random knots and slopes, first of them at the ends of the interval."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(3, BINS, ELEMENTS, generator=generator, dtype=torch.float64)
    inner = torch.cumsum(torch.softmax(raw[:2], 1), 1)[:, :-1] * (ENDS[1] - ENDS[0]) + ENDS[0]
    low, high = (torch.full((2, 1, ELEMENTS), end, dtype=torch.float64) for end in ENDS)
    knots = torch.cat([low, inner, high], 1).to(dtype)
    slopes = torch.cat([raw[2].exp(), raw[2, :1].exp()]).to(dtype)
    if straight:
        slopes[0] = slopes[-1] = 1.0
    return knots.requires_grad_(), slopes.requires_grad_()


def elements(knots):
    """Return elements inside, on knots, at the ends, beside them and far beyond."""
    x = torch.linspace(-2.5, 3.5, ELEMENTS, dtype=knots.dtype)
    x[:6] = knots.detach()[0, :, 0]
    low, high = (torch.tensor(end, dtype=knots.dtype) for end in ENDS)
    x[6], x[7] = torch.nextafter(low, high), torch.nextafter(high, low)
    x[8], x[9] = torch.nextafter(low, -high), torch.nextafter(high, 2 * high)
    x[10], x[11] = 1e4, -1e4
    return x.requires_grad_()


def outcome(y, log_derivative, inputs):
    weights = torch.linspace(0.5, 1.5, ELEMENTS, dtype=y.dtype)
    total = (weights * y).sum() + (weights.flip(0) * log_derivative).sum()
    return [y, log_derivative, *torch.autograd.grad(total, inputs)]


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_values_and_gradients(dtype, tolerance, inverse, straight):
    knots, slopes = tables(dtype, straight)
    inputs = elements(knots), knots, slopes
    found = outcome(
        *interval_spline(inputs[0], ENDS, knots, slopes, inverse=inverse, straight=straight), inputs
    )
    expected = outcome(*rational_quadratic(inputs[0], knots[0], knots[1], slopes, inverse), inputs)
    for each in (found, expected):
        # The ends are constants, and so are their slopes if they are 1.
        each[-2] = each[-2][:, 1:-1]
        if straight:
            each[-1] = each[-1][1:-1]
    for mine, other in zip(found, expected, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance * max(scale, 1.0))


@pytest.mark.parametrize("inverse", [False, True])
def test_missing_and_infinite_elements_touch_no_other(inverse):
    knots, slopes = tables(torch.float32, False)
    x = elements(knots).detach()
    x[3], x[5] = math.nan, math.inf
    y, log_derivative = interval_spline(x, ENDS, knots, slopes, inverse=inverse, straight=False)
    others = [place for place in range(ELEMENTS) if place not in (3, 5)]
    assert y[others].isfinite().all()
    assert log_derivative[others].isfinite().all()
    assert y[3].isnan()
    assert y[5].isinf()
