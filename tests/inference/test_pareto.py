"""The shape of the tail of importance weights, against tails that are known."""

import pytest
import torch
from torch.distributions import Normal

from logpx.errors import UsageError
from logpx.inference import k_hat, k_hat_limit


@pytest.mark.parametrize("scale", [0.5, 0.7, 0.9, 0.99])
def test_a_narrow_proposal_has_the_tail_of_theory(scale: float):
    # With q = N(0, s²) for p = N(0, 1) the weights have the tail index 1 - s².
    x = scale * torch.randn(100_000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    log_weights = Normal(0.0, 1.0).log_prob(x) - Normal(0.0, scale).log_prob(x)
    found = k_hat(log_weights)
    assert found.mean().item() == pytest.approx(1.0 - scale**2, abs=0.1)
    assert found.std().item() < 0.1


def test_a_pareto_tail_is_found():
    uniform = torch.rand(20_000, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for shape in (0.2, 0.5, 1.0):
        assert k_hat(-shape * torch.log(uniform)).mean().item() == pytest.approx(shape, abs=0.05)


def test_equal_weights_are_good():
    assert k_hat(torch.full((1000, 2), -3.0)).isneginf().all()
    nearly = torch.full((1000, 1), -3.0).double() + 1e-16 * torch.arange(1000)[:, None]
    assert k_hat(nearly).isneginf().all()
    # Log-weights of sums over many rows are off by a few units in their last place.
    large = -20_000.0 + 1e-11 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).double()
    assert k_hat(large).isneginf().all()
    assert k_hat(torch.zeros(1000)) < k_hat_limit(1000)


def test_a_constant_does_not_matter():
    log_weights = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(k_hat(log_weights - 5000.0), k_hat(log_weights), rtol=1e-9, atol=1e-9)


def test_few_draws_say_nothing():
    assert k_hat(torch.randn(20, 3)).isnan().all()
    assert k_hat(torch.randn(100, 2, 3)).shape == (2, 3)


def test_the_limit_grows_with_the_draws():
    assert k_hat_limit(10) == 0.0
    assert k_hat_limit(10**6) == 0.7


def test_log_weights_of_no_shape_are_refused():
    with pytest.raises(UsageError, match="shape"):
        k_hat(torch.tensor(1.0))
