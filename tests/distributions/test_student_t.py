"""Student's t: limits that rounding would spoil, against scipy."""

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions import StudentT
from logpx.errors import UsageError


@pytest.mark.parametrize("degrees", [0.1, 1.0, 3.0, 1e3, 1e6])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-9)])
def test_any_degrees_of_freedom(degrees, dtype, tolerance):
    x = torch.tensor([0.0, 1e-3, 0.5, 1.0, 3.0, 30.0, 1e3], dtype=dtype)[:, None]
    t = StudentT(1, degrees).to(dtype)
    expected = stats.t.logpdf(x[:, 0].double().numpy(), np.exp(t.log_degrees.double().item()))
    np.testing.assert_allclose(t.log_prob(x).detach().numpy(), expected, rtol=tolerance, atol=tolerance)


def test_far_out_in_single_precision():
    x = torch.tensor([[1e30], [-1e30], [0.0], [2.0**0.5]], requires_grad=True)
    t = StudentT(1, degrees=2.0)
    log_prob = t.log_prob(x)
    expected = stats.t.logpdf(x[:, 0].detach().double(), 2.0)
    np.testing.assert_allclose(log_prob.detach(), expected, rtol=1e-5)
    gradient = torch.autograd.grad(log_prob.sum(), [x, *t.parameters()])
    assert all(torch.isfinite(g).all() for g in gradient)
    # d log p / d x = -(degrees + 1) x / (degrees + x^2); the code changes branch at x^2 = degrees.
    exact = -3.0 * x.detach().double() / (2.0 + x.detach().double() ** 2)
    torch.testing.assert_close(gradient[0].double(), exact, rtol=1e-5, atol=1e-30)


def test_samples_of_few_degrees_are_finite():
    t = StudentT(1, degrees=0.05).double()
    assert torch.isfinite(t.sample(10_000, seed=0)).all()


def test_samples_follow_the_distribution():
    t = StudentT(1, degrees=1.5).double()
    assert stats.kstest(t.sample(5000, seed=1)[:, 0].detach().numpy(), stats.t(1.5).cdf).pvalue > 1e-3


def test_degrees_must_be_positive():
    with pytest.raises(UsageError, match="degrees"):
        StudentT(1, degrees=0.0)
