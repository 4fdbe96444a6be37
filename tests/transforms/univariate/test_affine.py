"""Affine functions: formulas, and the bound of the scale."""

import math

import pytest
import torch

from logpx.transforms import AffineFunction, ShiftFunction


def test_shift():
    y, log_derivative = ShiftFunction()(torch.tensor([3.0]), torch.tensor([[1.0]]))
    assert (y.item(), log_derivative.item()) == (2.0, 0.0)
    assert ShiftFunction()(y, torch.tensor([[1.0]]), inverse=True)[0].item() == 3.0


@pytest.mark.parametrize("raw", [-1e30, -50.0, -0.5, 0.0, 0.5, 50.0, 1e30])
@pytest.mark.parametrize("bound", [1.0, math.log(1000.0)])
def test_the_scale_is_bounded(raw, bound):
    affine = AffineFunction(bound)
    params = torch.tensor([[1.0, raw]], requires_grad=True)
    y, log_derivative = affine(torch.tensor([3.0]), params)
    alpha = raw / (1.0 + abs(raw) / bound)
    assert log_derivative.item() == pytest.approx(-alpha, abs=1e-6)
    assert y.item() == pytest.approx(2.0 * math.exp(-alpha), rel=1e-5)
    assert log_derivative.abs() <= bound + 1e-6
    assert torch.isfinite(torch.autograd.grad((y + log_derivative).sum(), params)[0]).all()
    assert affine(y, params, inverse=True)[0].item() == pytest.approx(3.0, rel=1e-5)


def test_the_default_bound_is_a_factor_of_a_thousand():
    _, log_derivative = AffineFunction()(
        torch.zeros(1, dtype=torch.float64), torch.tensor([[0.0, -1e300]], dtype=torch.float64)
    )
    assert log_derivative.exp().item() == pytest.approx(1000.0)
