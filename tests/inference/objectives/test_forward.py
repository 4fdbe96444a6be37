"""Cross-entropy and forward KL: closed forms of normal distributions, and refusals."""

import math

import pytest
import torch

from logpx import flows
from logpx.distributions import StandardNormal, Uniform
from logpx.errors import DataError, DivergedError, UsageError
from logpx.inference import cross_entropy, forward_kl


def test_forward_kl_is_the_closed_form(normal, target, exact_forward, exact_draws):
    value = forward_kl(normal, exact_draws, target.log_prob)
    assert value.item() == pytest.approx(exact_forward.item(), abs=1e-12)


def test_gradient_is_that_of_the_closed_form(normal, target, exact_forward, exact_draws):
    parameters = list(normal.parameters())
    expected = torch.autograd.grad(exact_forward, parameters)
    for value in (
        forward_kl(normal, exact_draws, target.log_prob),
        forward_kl(normal, exact_draws),
        cross_entropy(normal, exact_draws),
    ):
        for own, exact in zip(torch.autograd.grad(value, parameters), expected, strict=True):
            torch.testing.assert_close(own, exact, atol=1e-12, rtol=1e-12)


def test_without_a_density_it_is_the_cross_entropy(normal, target, exact_forward, exact_draws):
    value = forward_kl(normal, exact_draws)
    assert value.item() == cross_entropy(normal, exact_draws).item()
    assert value.item() == pytest.approx((exact_forward + target.entropy()).item(), abs=1e-12)


def test_monte_carlo_is_within_its_standard_error(normal, target, exact_forward):
    x = target.sample((20_000,))
    with torch.no_grad():
        each = target.log_prob(x) - normal.log_prob(x)
    value = forward_kl(normal, x, target.log_prob).item()
    assert abs(value - exact_forward.item()) < 4.0 * each.std().item() / math.sqrt(len(x))
    assert value != pytest.approx(exact_forward.item(), abs=1e-6)


def test_the_normaliser_is_taken_off(normal, target, exact_forward, exact_draws):
    log_z = 2.5
    value = forward_kl(normal, exact_draws, lambda x: target.log_prob(x) + log_z, log_normaliser=log_z)
    assert value.item() == pytest.approx(exact_forward.item(), abs=1e-12)


def test_a_normaliser_alone_is_refused(normal, exact_draws):
    with pytest.raises(UsageError, match="without log_density"):
        forward_kl(normal, exact_draws, log_normaliser=1.0)


def test_a_density_may_exceed_one():
    assert cross_entropy(Uniform(1, 0.0, 0.1), torch.full((3, 1), 0.05)).item() == pytest.approx(
        math.log(0.1)
    )


def test_maximum_likelihood_by_descent(target):
    """The loss of a training loop: a flow reaches the sample's own normal distribution."""
    x = target.sample((500,)).float()
    flow = flows.MAF(3, layers=1, hidden=(8,))
    optimizer = torch.optim.Adam(flow.parameters(), 0.1)
    for _ in range(80):
        optimizer.zero_grad()
        loss = forward_kl(flow, x)
        loss.backward()
        optimizer.step()
    best = 0.5 * torch.logdet(2.0 * math.pi * math.e * torch.cov(x.T))
    assert loss.item() < best.item() + 0.02


def test_contexts_reach_the_model():
    flow = flows.MAF(2, layers=2, hidden=(8,), context=3)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.3)
    x, context = torch.randn(5, 2), torch.randn(5, 3)
    assert torch.equal(cross_entropy(flow, x, context), -flow.log_prob(x, context).mean())
    value = forward_kl(flow, x, StandardNormal(2).log_prob, context)
    torch.testing.assert_close(value, (StandardNormal(2).log_prob(x) - flow.log_prob(x, context)).mean())
    with pytest.raises(UsageError, match="3 context features"):
        forward_kl(flow, x)


def test_bad_rows_are_refused():
    model = StandardNormal(2)
    with pytest.raises(DataError, match="no rows"):
        cross_entropy(model, torch.zeros(0, 2))
    with pytest.raises(UsageError, match="event shape"):
        cross_entropy(model, torch.zeros(3))
    x = torch.zeros(4, 2)
    x[2, 1] = math.nan
    with pytest.raises(DataError, match="not finite") as error:
        cross_entropy(model, x)
    assert (error.value.row, error.value.column) == (3, 1)


def test_a_row_without_density_is_infinitely_far():
    assert cross_entropy(Uniform(1), torch.tensor([[0.5], [2.0]])).item() == math.inf


def test_a_model_that_is_lost_is_named():
    flow = flows.MAF(2, layers=1, hidden=(4,))
    with torch.no_grad():
        next(flow.parameters()).fill_(math.nan)
    with pytest.raises(DivergedError, match="at 3 of 3 rows"):
        forward_kl(flow, torch.zeros(3, 2))
