"""Guarded Newton sweeps: they converge where bare Newton steps do not."""

import numpy as np
import pytest
import scipy.optimize
import torch

from logpx.transforms.fixed_point import solve
from logpx.transforms.newton import GuardedNewton


def steep(slope, reach, sharpness, target):
    """Return the equation slope x + reach tanh(sharpness x) = target, and the bracket of its solution."""

    def equations(x):
        h = torch.tanh(sharpness * x)
        residual = slope * x + reach * h - target
        return (
            residual,
            slope * x.abs() + reach + target.abs(),
            slope + reach * sharpness * (1.0 - h * h),
        )

    return equations, (target - reach) / slope, (target + reach) / slope


@pytest.mark.parametrize("slope", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("sharpness", [0.3, 3.0, 300.0])
def test_sigmoids_of_any_steepness_against_brentq(slope, sharpness):
    target = torch.linspace(-3.0, 3.0, 41, dtype=torch.float64)[:, None]
    equations, lower, upper = steep(slope, 2.0, sharpness, target)
    x, certificate = solve(GuardedNewton(equations, lower, upper), target, event_dims=1, limit=150)
    for row, found in enumerate(x[:, 0].tolist()):
        at = target[row].item()
        expected = scipy.optimize.brentq(
            lambda x, at=at: slope * x + 2.0 * np.tanh(sharpness * x) - at,
            lower[row].item() - 1.0,
            upper[row].item() + 1.0,
            xtol=1e-14,
        )
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert certificate.iterations <= 80


def test_bare_newton_steps_cycle_where_guarded_ones_converge():
    target = torch.tensor([[0.0]], dtype=torch.float64)
    equations, lower, upper = steep(0.01, 1.0, 1.0, target)
    x = torch.tensor([[5.0]], dtype=torch.float64)
    for _ in range(50):
        residual, _, diagonal = equations(x)
        x = x - residual / diagonal
    assert x.abs() > 1.0
    x, certificate = solve(
        GuardedNewton(equations, lower, upper), torch.full_like(x, 5.0), event_dims=1, limit=50
    )
    assert x.abs() < 1e-12
    assert certificate.iterations < 20


def test_a_chain_of_steep_elements():
    # Every element is steep, and moved by the one before it.
    def equations(x):
        h = torch.tanh(20.0 * x)
        before = torch.nn.functional.pad(torch.sin(3.0 * x[..., :-1]), (1, 0))
        residual = 0.05 * x + h + 0.5 * before - 0.3
        return residual, 2.0 + 0.05 * x.abs(), 0.05 + 20.0 * (1.0 - h * h)

    bound = torch.full((3, 25), 40.0, dtype=torch.float64)
    x, certificate = solve(GuardedNewton(equations, -bound, bound), 0.5 * bound, event_dims=1, limit=2000)
    assert equations(x)[0].abs().max() < 1e-12
    assert certificate.iterations < 25 * 20
