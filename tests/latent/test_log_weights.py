"""Functions of log-weights, against their definitions and each other."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from logpx.errors import UsageError
from logpx.inference import ciwae, dreg, effective_sample_size, elbo, iwae, iwae_error, jackknife, miwae


@pytest.fixture
def log_weights() -> torch.Tensor:
    return 2.0 * torch.randn(12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 300.0


def test_values_are_those_of_the_definitions(log_weights):
    weights = np.exp(log_weights.numpy() + 300.0)
    np.testing.assert_allclose(elbo(log_weights), log_weights.numpy().mean(0))
    np.testing.assert_allclose(iwae(log_weights), np.log(weights.mean(0)) - 300.0)
    np.testing.assert_allclose(effective_sample_size(log_weights), weights.sum(0) ** 2 / (weights**2).sum(0))
    relative = weights.std(0, ddof=1) / weights.mean(0) / math.sqrt(12)
    np.testing.assert_allclose(iwae_error(log_weights), relative)


def test_one_draw_is_the_elbo(log_weights):
    torch.testing.assert_close(iwae(log_weights[:1]), elbo(log_weights[:1]))
    assert iwae_error(log_weights[:1]).isnan().all()
    torch.testing.assert_close(jackknife(log_weights[:1]), iwae(log_weights[:1]))


def test_the_bounds_are_in_order(log_weights):
    bounds = [elbo(log_weights), miwae(log_weights, 4), iwae(log_weights)]
    assert (bounds[0] <= bounds[1]).all()
    assert (bounds[1] <= bounds[2]).all()
    torch.testing.assert_close(miwae(log_weights, 12), bounds[0])
    torch.testing.assert_close(miwae(log_weights, 1), bounds[2])
    torch.testing.assert_close(ciwae(log_weights, 0.25), 0.25 * bounds[0] + 0.75 * bounds[2])


def test_the_jackknife_leaves_each_draw_out():
    log_weights = 0.3 * torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    without = torch.stack([iwae(torch.cat([log_weights[:k], log_weights[k + 1 :]])) for k in range(20)])
    torch.testing.assert_close(jackknife(log_weights), 20 * iwae(log_weights) - 19 * without.mean(0))


def test_the_jackknife_removes_most_of_the_bias():
    # Weights of mean 1: log-normal.
    noise = 0.8 * torch.randn(8, 200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    log_weights = noise - 0.32
    bias, corrected = iwae(log_weights).mean().item(), jackknife(log_weights).mean().item()
    assert bias < -0.03
    assert abs(corrected) < abs(bias) / 2


def test_where_a_weight_dominates_nothing_is_corrected():
    log_weights = torch.tensor([[0.0], [-500.0], [-800.0]], dtype=torch.float64)
    assert jackknife(log_weights).item() == iwae(log_weights).item()


def test_impossible_rows_stay_impossible():
    log_weights = torch.full((4, 2), -torch.inf)
    assert iwae(log_weights).isneginf().all()
    assert elbo(log_weights).isneginf().all()


def test_dreg_is_the_gradient_of_iwae_in_expectation():
    # q(z) = N(m, 1.2²), p(z) = N(0, 1), p(x | z) = N(x; a z, 1).
    generator = torch.Generator().manual_seed(3)
    x, batch, draws = 1.5, 200_000, 4
    noise = torch.randn(draws, batch, 1, dtype=torch.float64, generator=generator)

    def gradients(doubly: bool) -> torch.Tensor:
        a = torch.full((batch,), 0.7, dtype=torch.float64, requires_grad=True)
        m = torch.full((batch,), 0.2, dtype=torch.float64, requires_grad=True)
        z = m[:, None] + 1.2 * noise
        q = Normal((m.detach() if doubly else m)[:, None], 1.2)
        joint = Normal(0.0, 1.0).log_prob(z) + Normal(a[:, None] * z, 1.0).log_prob(torch.tensor(x))
        log_weights = (joint - q.log_prob(z)).squeeze(-1)
        value = dreg(log_weights, z) if doubly else iwae(log_weights)
        torch.testing.assert_close(value, iwae(log_weights))
        return torch.stack(torch.autograd.grad(value.sum(), [a, m]))

    doubly, plain = gradients(True), gradients(False)
    difference = doubly - plain
    score = difference.mean(1) / (difference.std(1) / math.sqrt(batch))
    assert score.abs().max() < 4.0
    # What it is for: the gradient of q has a smaller variance.
    assert doubly[1].var() < 0.7 * plain[1].var()


def test_bad_arguments_are_named(log_weights):
    with pytest.raises(UsageError, match="shape"):
        iwae(torch.tensor(1.0))
    with pytest.raises(UsageError, match="shape"):
        elbo(torch.zeros(0, 3))
    with pytest.raises(UsageError, match="5 groups"):
        miwae(log_weights, 5)
    with pytest.raises(UsageError, match="share"):
        ciwae(log_weights, 1.5)
