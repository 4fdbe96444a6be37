"""What a conditioner sees of its inputs."""

import numpy as np
import pytest
import torch

from logpx.nets.layers import DAMPING, ContextLinear, damp, damp_context, squash


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_damp_and_its_derivatives_are_finite_everywhere(dtype):
    x = torch.tensor([0.0, 1.0, -1e3, 1e18, -1e19, 1e30, 3e38], dtype=dtype, requires_grad=True)
    y = damp(x)
    assert (y.abs() <= 15.0 * (1.0 + 1e-6)).all()
    first = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
    exact = 1.0 / (1.0 + (x.detach().double().numpy() * np.pi / 30.0) ** 2)
    np.testing.assert_allclose(first.detach(), exact, rtol=1e-5, atol=1e-18)
    second = torch.autograd.grad(first.sum(), x)[0]
    assert torch.isfinite(second).all()


def test_damp_is_odd_and_nearly_linear_in_the_bulk():
    x = torch.linspace(-1.0, 1.0, 21, dtype=torch.float64)
    torch.testing.assert_close(damp(-x), -damp(x))
    torch.testing.assert_close(damp(x), x, rtol=0.04, atol=0)
    assert (damp(100.0 * x).diff() > 0).all()


def test_no_context_stays_none():
    assert damp_context(None) is None


@pytest.mark.parametrize("rows", [(5,), (2, 5), ()])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_the_factor_of_damping_is_part_of_the_product(rows, dtype, tolerance):
    torch.manual_seed(0)
    layer = ContextLinear(3, 4, 2).to(dtype)
    x = (10.0 * torch.randn(*rows, 3, dtype=dtype)).requires_grad_()
    context = torch.randn(*rows, 2, dtype=dtype)
    inputs = [x, *layer.parameters()]
    outcomes = []
    for y in (layer(squash(x), context, DAMPING), layer(damp(x), context)):
        outcomes.append([y, *torch.autograd.grad(y.square().sum(), inputs)])
    for found, expected in zip(*outcomes, strict=True):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * max(scale, 1.0))
