"""Reverse KL: closed forms of normal distributions, normalisers, seeds and refusals."""

import math

import pytest
import torch

from logpx import flows
from logpx.distributions import DiagonalNormal, Flow, Mixture, StandardNormal
from logpx.errors import DivergedError, UsageError
from logpx.inference import PathGradient, StickingTheLanding, TotalGradient, cross_entropy, reverse_kl
from logpx.latent import GaussianMixture
from logpx.transforms import Affine, Logit

ESTIMATORS = [TotalGradient(), StickingTheLanding(), PathGradient()]


def test_value_is_the_closed_form_within_its_standard_error(normal, target, exact_reverse):
    with torch.no_grad():
        x, log_q = normal.rsample_with_log_prob(20_000, seed=0)
        error = (log_q - target.log_prob(x)).std().item() / math.sqrt(20_000)
    value = reverse_kl(normal, target.log_prob, samples=20_000, seed=0).item()
    assert abs(value - exact_reverse.item()) < 4.0 * error


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_value_is_the_same_for_every_estimator(flow, target, estimator):
    with torch.no_grad():
        x, log_q = flow.rsample_with_log_prob(100, seed=5)
        expected = (log_q - target.log_prob(x)).mean()
    value = reverse_kl(flow, target.log_prob, samples=100, estimator=estimator, seed=5)
    assert value.item() == pytest.approx(expected.item(), abs=1e-14)
    assert value.requires_grad
    with torch.no_grad():
        assert reverse_kl(flow, target.log_prob, samples=100, estimator=estimator, seed=5) == value


def test_an_unknown_normaliser_leaves_the_negative_elbo(normal, target):
    """At q = pi the ratio is log Z at every draw."""
    log_z = 3.25
    with torch.no_grad():
        normal.mean.copy_(target.mean)
        normal.log_diagonal.copy_(target.scale_tril.diagonal().log())
        normal.lower.copy_(target.scale_tril.tril(-1))

    def unnormalised(x: torch.Tensor) -> torch.Tensor:
        return target.log_prob(x) + log_z

    assert reverse_kl(normal, unnormalised, samples=3).item() == pytest.approx(-log_z, abs=1e-13)
    for normaliser in (log_z, torch.tensor(log_z, dtype=torch.float64)):
        value = reverse_kl(normal, unnormalised, samples=3, log_normaliser=normaliser)
        assert value.item() == pytest.approx(0.0, abs=1e-13)


def test_a_seed_repeats_the_draws(flow, target):
    values = [reverse_kl(flow, target.log_prob, samples=10, seed=seed).item() for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    assert reverse_kl(flow, target.log_prob, samples=10) != reverse_kl(flow, target.log_prob, samples=10)


def test_gradients_reach_the_density_too(normal):
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    for estimator in ESTIMATORS:
        value = reverse_kl(normal, lambda x: -0.5 * (x - shift).square().sum(-1), estimator=estimator, seed=0)
        x = normal.sample(1000, seed=0)
        (gradient,) = torch.autograd.grad(value, shift)
        torch.testing.assert_close(gradient, -x.mean(0).detach())


def test_descent_reaches_the_target(target):
    torch.manual_seed(0)
    flow = flows.RealNVP(3, layers=2, hidden=(16,)).double()
    optimizer = torch.optim.Adam(flow.parameters(), 0.03)
    before = reverse_kl(flow, target.log_prob, samples=2000, seed=0).item()
    for _ in range(150):
        optimizer.zero_grad()
        reverse_kl(flow, target.log_prob, samples=100, estimator=PathGradient()).backward()
        optimizer.step()
    after = reverse_kl(flow, target.log_prob, samples=2000, seed=0).item()
    assert after < 0.1 * before


def test_contexts_reach_the_model():
    flow = flows.RealNVP(2, layers=2, hidden=(8,), context=1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.3)
    density = StandardNormal(2).log_prob
    for context in (torch.ones(1), torch.randn(50, 1)):
        with torch.no_grad():
            x, log_q = flow.rsample_with_log_prob(50, context, seed=0)
        value = reverse_kl(flow, density, samples=50, context=context, seed=0)
        torch.testing.assert_close(value.detach(), (log_q - density(x)).mean())
    with pytest.raises(UsageError, match="1 context features"):
        reverse_kl(flow, density)


def test_a_draw_outside_the_support_is_named():
    """Draws of a normal distribution leave the unit interval; a model on a logit stays inside."""
    beta = torch.distributions.Beta(2.0, 3.0, validate_args=False)

    def log_density(x: torch.Tensor) -> torch.Tensor:
        inside = (x[:, 0] > 0.0) & (x[:, 0] < 1.0)
        return torch.where(inside, beta.log_prob(torch.where(inside, x[:, 0], 0.5)), -math.inf)

    with pytest.raises(UsageError, match=r"-inf at the point \(") as error:
        reverse_kl(StandardNormal(1), log_density, seed=0)
    assert "support" in error.value.fix
    inside = Flow(DiagonalNormal(1), Logit(1))
    assert math.isfinite(reverse_kl(inside, log_density, seed=0).item())


@pytest.mark.parametrize("wrong", ["stl", StickingTheLanding, 3])
def test_an_estimator_is_an_object(normal, target, wrong):
    with pytest.raises(UsageError, match="estimator"):
        reverse_kl(normal, target.log_prob, estimator=wrong)


@pytest.mark.parametrize("samples", [0, -1, 2.5])
def test_at_least_one_draw(normal, target, samples):
    with pytest.raises(UsageError, match=r"samples|rows asked for"):
        reverse_kl(normal, target.log_prob, samples=samples)


def test_a_model_that_is_lost_is_named(target):
    flow = Flow(StandardNormal(3), Affine(3)).double()
    with torch.no_grad():
        flow.transform.shift[1] = math.nan
    with pytest.raises(DivergedError, match="1000 of 1000 draws") as error:
        reverse_kl(flow, target.log_prob)
    assert error.value.row == 1


@pytest.mark.parametrize(
    "model",
    [
        Mixture([StandardNormal(2), DiagonalNormal(2)]),
        GaussianMixture(2, 2),
        Flow(GaussianMixture(2, 2), Affine(2)),
        Mixture([StandardNormal(2), Mixture([DiagonalNormal(2)])]).requires_grad_(False),
    ],
)
def test_trained_weights_of_a_mixture_have_no_gradient(model):
    density = StandardNormal(2).log_prob
    assert math.isfinite(reverse_kl(model.requires_grad_(False), density, seed=0).item())
    model.requires_grad_(True)
    with pytest.raises(UsageError, match="not differentiable"):
        reverse_kl(model, density)
    with torch.no_grad():
        assert math.isfinite(reverse_kl(model, density).item())


def test_draws_without_a_gradient_are_refused():
    class Detached(DiagonalNormal):
        @torch.no_grad()
        def sample(self, n, context=None, seed=None):
            return super().sample(n, context, seed)

    with pytest.raises(UsageError, match="not differentiable"):
        reverse_kl(Detached(2), StandardNormal(2).log_prob)


def test_reverse_kl_of_a_model_from_itself_needs_no_parameters():
    value = reverse_kl(StandardNormal(2), StandardNormal(2).log_prob, estimator=PathGradient())
    assert value.item() == 0.0


def test_it_is_the_cross_entropy_minus_the_entropy(normal, target):
    x, log_q = normal.rsample_with_log_prob(50, seed=0)
    expected = log_q.mean() - target.log_prob(x).mean()
    assert reverse_kl(normal, target.log_prob, samples=50, seed=0).item() == pytest.approx(expected.item())
    assert cross_entropy(normal, x.detach()).item() == pytest.approx(-log_q.mean().item())
