"""The solver of monotone equations: roots of awkward functions, and derivatives by the implicit function."""

import math

import pytest
import torch

from logpx.transforms import monotone_inverse

FUNCTIONS = {
    "cube, flat at 0": lambda x: (x**3 + 1e-6 * x, torch.log(3.0 * x**2 + 1e-6)),
    "arc tangent, from which Newton's method alone diverges": lambda x: (
        torch.atan(3.0 * x),
        math.log(3.0) - torch.log1p(9.0 * x**2),
    ),
    "exponential": lambda x: (torch.exp(3.0 * x), math.log(3.0) + 3.0 * x),
    "steep step": lambda x: (
        torch.tanh(200.0 * (x - 0.7)) + 0.01 * x,
        torch.log(200.0 * (1.0 - torch.tanh(200.0 * (x - 0.7)) ** 2) + 0.01),
    ),
    "kink": lambda x: (
        torch.where(x < 1.0, 0.01 * x, 0.01 + 50.0 * (x - 1.0)),
        0.0 * x + torch.where(x < 1.0, math.log(0.01), math.log(50.0)),
    ),
    "stairs": lambda x: (x + 0.99 * torch.sin(10.0 * x) / 10.0, torch.log(1.0 + 0.99 * torch.cos(10.0 * x))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_roots(name, dtype):
    function = FUNCTIONS[name]
    x = torch.cat([torch.linspace(-4.0, 4.0, 4001, dtype=dtype), torch.tensor([0.0, 1e-3, 0.7], dtype=dtype)])
    y, log_derivative = function(x)
    found, log_of_inverse = monotone_inverse(function, y, -4.0, 4.0)
    # What the rounding of y permits, divided by the slope.
    eps = torch.finfo(dtype).eps
    allowed = 8.0 * eps * (1.0 + x.abs() + y.abs() * torch.exp(-log_derivative))
    flat = (function(found)[0] - y).abs() <= 8.0 * eps * (y.abs() + eps)
    assert (((found - x).abs() <= allowed) | flat).all()
    steepness_agrees = (log_of_inverse + function(found)[1]).abs()
    assert steepness_agrees.max() == 0.0


def test_a_bracket_for_every_element():
    low, high = torch.tensor([0.0, 5.0]).double(), torch.tensor([2.0, 50.0]).double()
    x, _ = monotone_inverse(
        lambda x: (x**2, torch.log(2.0 * x)), torch.tensor([2.0, 100.0]).double(), low, high
    )
    torch.testing.assert_close(x, torch.tensor([math.sqrt(2.0), 10.0]).double())


def test_beyond_the_bracket_the_end_is_the_start_of_the_last_steps():
    x, log_derivative = monotone_inverse(
        lambda x: (2.0 * x, 0.0 * x + math.log(2.0)), torch.tensor([9.0]), 0.0, 1.0
    )
    assert x.item() == 4.5
    assert log_derivative.item() == pytest.approx(-math.log(2.0))


def test_first_and_second_derivatives_are_those_of_the_implicit_function():
    # y = a x + x³: compared with autodiff's own through Cardano's formula.
    a = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([-2.0, 0.3, 4.0], dtype=torch.float64, requires_grad=True)

    def numerically(y, a):
        return monotone_inverse(lambda x: (a * x + x**3, torch.log(a + 3.0 * x**2)), y, -5.0, 5.0)

    def cardano(y, a):
        inner = torch.sqrt(y**2 / 4.0 + a**3 / 27.0)
        root = (y / 2.0 + inner) ** (1.0 / 3.0)
        x = root - a / (3.0 * root)
        return x, -torch.log(a + 3.0 * x**2)

    for found, expected in zip(numerically(y, a), cardano(y, a), strict=True):
        torch.testing.assert_close(found, expected)
        first, correct = (
            torch.autograd.grad(value.sum(), [y, a], create_graph=True) for value in (found, expected)
        )
        for one, other in zip(first, correct, strict=True):
            torch.testing.assert_close(one, other)
            second, wanted = (
                torch.autograd.grad(value.sum(), [y, a], retain_graph=True) for value in (one, other)
            )
            torch.testing.assert_close(second, wanted)


def test_one_graph():
    function = FUNCTIONS["cube, flat at 0"]
    compiled = torch.compile(
        lambda y: monotone_inverse(function, y, -4.0, 4.0), fullgraph=True, backend="eager"
    )
    y = torch.linspace(-3.0, 3.0, 7).double()
    torch.testing.assert_close(compiled(y), monotone_inverse(function, y, -4.0, 4.0))
