"""Splines of intervals, in few operators, are the general spline through the same knots."""

import math

import pytest
import torch

from logpx.transforms.univariate.interval_spline import interval_spline
from logpx.transforms.univariate.rational_quadratic import rational_quadratic

BINS, ELEMENTS, ENDS = 5, 40, (-2.0, 3.0)


def tables(dtype, straight, elements=ELEMENTS):
    """Return random knots and slopes, first of them at the ends of the interval."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(3, BINS, elements, generator=generator, dtype=torch.float64)
    inner = torch.cumsum(torch.softmax(raw[:2], 1), 1)[:, :-1] * (ENDS[1] - ENDS[0]) + ENDS[0]
    low, high = (torch.full((2, 1, elements), end, dtype=torch.float64) for end in ENDS)
    knots = torch.cat([low, inner, high], 1).to(dtype)
    slopes = torch.cat([raw[2].exp(), raw[2, :1].exp()]).to(dtype)
    if straight:
        slopes[0] = slopes[-1] = 1.0
    return knots.requires_grad_(), slopes.requires_grad_()


def elements(knots):
    """Return elements inside, on knots, at the ends, beside them and far beyond."""
    x = torch.linspace(-2.5, 3.5, knots.shape[-1], dtype=knots.dtype)
    x[:6] = knots.detach()[0, :, 0]
    low, high = (torch.tensor(end, dtype=knots.dtype) for end in ENDS)
    x[6], x[7] = torch.nextafter(low, high), torch.nextafter(high, low)
    x[8], x[9] = torch.nextafter(low, -high), torch.nextafter(high, 2 * high)
    x[10], x[11] = 1e4, -1e4
    return x.requires_grad_()


def outcome(y, log_derivative, inputs):
    weights = torch.linspace(0.5, 1.5, len(y), dtype=y.dtype)
    total = (weights * y).sum() + (weights.flip(0) * log_derivative).sum()
    return [y, log_derivative, *torch.autograd.grad(total, inputs)]


def both_forms(knots, slopes, inverse, straight):
    """Return values, log-derivatives and gradients of this form and of the plain one."""
    inputs = elements(knots), knots, slopes
    found = outcome(
        *interval_spline(inputs[0], ENDS, knots, slopes, inverse=inverse, straight=straight), inputs
    )
    plain = outcome(*rational_quadratic(inputs[0], knots[0], knots[1], slopes, inverse), inputs)
    for each in (found, plain):
        # The ends are constants, and so are their slopes if they are 1.
        each[-2] = each[-2][:, 1:-1]
        if straight:
            each[-1] = each[-1][1:-1]
    return found, plain


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize(
    ("dtype", "inverse", "tolerance"),
    [(torch.float64, False, 1e-12), (torch.float64, True, 1e-12), (torch.float32, False, 1e-6)],
)
def test_values_and_gradients(dtype, tolerance, inverse, straight):
    found, plain = both_forms(*tables(dtype, straight), inverse, straight)
    for place, (mine, other) in enumerate(zip(found, plain, strict=True)):
        scale = max(float(other.detach().abs().max()), 1.0) if place > 1 else 1.0
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
def test_in_single_precision_it_is_as_close_to_double_as_the_plain_form(inverse, straight):
    # The plain inverse itself is off by 9e-6 here: rounding y moves the root, wherever the spline is flat.
    knots, slopes = tables(torch.float32, straight, elements=20_000)
    found, plain = both_forms(knots, slopes, inverse, straight)
    exact = [values.detach().double().requires_grad_() for values in (elements(knots), knots, slopes)]
    expected = outcome(*rational_quadratic(exact[0], *exact[1], exact[2], inverse), exact)
    expected[-2] = expected[-2][:, 1:-1]
    if straight:
        expected[-1] = expected[-1][1:-1]
    for name, mine, other, true in zip(
        ("y", "log", "x", "knots", "slopes"), found, plain, expected, strict=True
    ):
        size = true.detach().abs()
        # Elements differ by four orders of magnitude, gradients are sums with terms as large as the largest.
        scale = 1.0 + size if name in {"y", "log"} else size.max().clamp_min(1.0)
        errors = [float(((form - true).detach().abs() / scale).max()) for form in (mine, other)]
        assert errors[0] < errors[1] + 1e-6, name
        assert errors[0] < (2e-5 if inverse and name != "y" else 1e-6), name


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
