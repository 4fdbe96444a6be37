import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from logpx.tables.scales.tails import compress, expand

LIMITS = [torch.tensor(limit, dtype=torch.float64) for limit in (1.0, 6.0, 40.0)]
limits = pytest.mark.parametrize("limit", LIMITS, ids=["1", "6", "40"])


@limits
def test_the_identity_within_the_limit(limit):
    v = torch.linspace(-1, 1, 101, dtype=torch.float64) * limit
    y, log_derivative = compress(v, limit)
    assert torch.equal(y, v)
    assert (log_derivative == 0).all()


@limits
def test_value_and_slope_join_at_the_limit(limit):
    y, log_derivative = compress(limit[None] * (1 + 1e-9), limit)
    assert y.item() == pytest.approx(limit.item(), rel=1e-8)
    assert log_derivative.item() == pytest.approx(0.0, abs=1e-6)


@limits
def test_derivative_is_that_of_autodiff(limit):
    v = (limit * torch.logspace(0.01, 290, 500, base=10, dtype=torch.float64)).requires_grad_()
    y, log_derivative = compress(v, limit)
    (derivative,) = torch.autograd.grad(y.sum(), v)
    torch.testing.assert_close(log_derivative.detach(), derivative.log(), rtol=1e-10, atol=1e-10)


@limits
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_round_trip_and_bounded_cost(limit, value):
    v = torch.tensor([value], dtype=torch.float64).clamp(-1e300, 1e300)
    y, log_derivative = compress(v, limit)
    back, back_derivative = expand(y, limit)
    assert back.item() == pytest.approx(v.item(), rel=1e-10)
    assert (log_derivative + back_derivative).item() == pytest.approx(0.0, abs=1e-9)
    # Four nats per e-fold, on top of what a normal row at the limit costs.
    e_folds = max(math.log(max(abs(v.item()), 1.0)), 0.0)
    cost = (y.square() / 2 - log_derivative).item()
    assert cost < 0.5 * limit.item() ** 2 * 1.6 + 4 * e_folds + 10


def test_the_tail_is_a_density():
    limit = LIMITS[1]

    def density(t):
        v = torch.tensor([6 * math.exp(t)], dtype=torch.float64)
        y, log_derivative = compress(v, limit)
        return math.exp(log_derivative.item() - y.item() ** 2 / 2) / math.sqrt(2 * math.pi) * v.item()

    beyond, _ = integrate.quad(density, 0, 200, epsabs=0, limit=200)
    assert beyond == pytest.approx(0.5 * math.erfc(6 / math.sqrt(2)), rel=1e-6)


def test_an_infinite_limit_is_linear():
    v = torch.tensor([1e10, -1e200], dtype=torch.float64)
    assert torch.equal(compress(v, torch.tensor(math.inf))[0], v)
    assert torch.equal(expand(v, torch.tensor(math.inf))[0], v)


@limits
def test_any_model_value_comes_back_finite(limit):
    y = torch.tensor([-1e300, -1e5, 300.0, 1.7e308], dtype=torch.float64)
    for result in expand(y, limit):
        assert torch.isfinite(result).all()
