"""Gradient estimators: unbiased against closed forms, equal draw by draw, and silent at the target."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from logpx import flows
from logpx.distributions import Distribution, StandardNormal
from logpx.inference import PathGradient, StickingTheLanding, TotalGradient, reverse_kl

ESTIMATORS = [TotalGradient(), StickingTheLanding(), PathGradient()]
WITHOUT_SCORE = ESTIMATORS[1:]


def gradient(value: Tensor, model: nn.Module) -> Tensor:
    """Return the gradient by all parameters as one vector."""
    parts = torch.autograd.grad(value, list(model.parameters()), materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def gradients(model: Distribution, log_density, estimator, runs: int = 200, samples: int = 64) -> Tensor:
    """Return gradients of independent runs, shape ``(runs, parameters)``."""
    return torch.stack(
        [
            gradient(reverse_kl(model, log_density, samples=samples, estimator=estimator, seed=seed), model)
            for seed in range(runs)
        ]
    )


def largest_z(each: Tensor, exact: Tensor) -> float:
    """Return the largest distance of a mean from its expectation, in standard errors."""
    error = each.std(0) / math.sqrt(len(each))
    return ((each.mean(0) - exact).abs() / (error + 1e-12)).max().item()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_gradient_is_unbiased_for_normals(normal, target, exact_reverse, estimator):
    """Nine free parameters, and 200 runs: the largest of nine z-values exceeds 4 once in 1700 times."""
    each = gradients(normal, target.log_prob, estimator)
    exact = gradient(exact_reverse, normal)
    assert exact.abs().max() > 0.3
    assert largest_z(each, exact) < 4.0


def test_detaching_the_parameters_of_the_same_pass_would_be_found_out(normal, target, exact_reverse):
    """The mistake that the estimators avoid is far outside what the test above allows."""

    class Wrong:
        def draw(self, model, n, context=None, seed=None):
            x, log_q = model.rsample_with_log_prob(n, context, seed)
            return x, log_q.detach()

    each = gradients(normal, target.log_prob, Wrong())
    assert largest_z(each, gradient(exact_reverse, normal)) > 20.0


@pytest.mark.parametrize("estimator", WITHOUT_SCORE, ids=repr)
def test_the_score_has_mean_zero_for_a_flow(flow, target, estimator):
    """RealNVP has no closed form; the total gradient is plain automatic differentiation."""
    runs = [gradients(flow, target.log_prob, each, runs=100) for each in (estimator, TotalGradient())]
    difference = runs[0] - runs[1]
    moving = difference.std(0) > 1e-12
    assert moving.sum() > 50
    assert largest_z(difference[:, moving], torch.zeros(())) < 4.5


@pytest.mark.parametrize(
    "build",
    [
        lambda: flows.RealNVP(3, layers=3, hidden=(8,)),
        lambda: flows.MAF(3, layers=2, hidden=(8,)),
        lambda: flows.IAF(3, layers=2, hidden=(8,)),
        lambda: flows.NSF(3, layers=2, hidden=(8,)),
    ],
    ids=["RealNVP", "MAF", "IAF", "NSF"],
)
def test_path_gradient_and_sticking_the_landing_agree_draw_by_draw(build, target):
    model = build().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    first, second = (
        gradient(reverse_kl(model, target.log_prob, samples=20, estimator=estimator, seed=0), model)
        for estimator in WITHOUT_SCORE
    )
    assert first.abs().max() > 1e-2
    torch.testing.assert_close(first, second, atol=1e-9, rtol=1e-9)


def test_path_gradient_is_the_chain_rule(flow, target):
    """One draw, by hand: the slope of the log ratio at x, times the Jacobian of x by the parameters."""
    x = flow.rsample(1, seed=0)
    point = x.detach().requires_grad_()
    ratio = copy.deepcopy(flow).requires_grad_(False).log_prob(point) - target.log_prob(point)
    (slope,) = torch.autograd.grad(ratio.sum(), point)
    expected = gradient((slope * x).sum(), flow)
    value = reverse_kl(flow, target.log_prob, samples=1, estimator=PathGradient(), seed=0)
    torch.testing.assert_close(gradient(value, flow), expected, atol=1e-12, rtol=1e-9)


def test_gradients_vanish_at_the_target_draw_by_draw(flow):
    target = copy.deepcopy(flow).requires_grad_(False)
    plain = gradient(reverse_kl(flow, target.log_prob, samples=10, seed=0), flow).abs().max()
    sticking, path = (
        gradient(reverse_kl(flow, target.log_prob, samples=10, estimator=estimator, seed=0), flow)
        for estimator in WITHOUT_SCORE
    )
    assert plain > 0.05
    assert sticking.abs().max() < 1e-14
    assert path.abs().max() < 1e-14


def test_variance_falls_with_the_distance(normal, target):
    """Halfway between the start and the target the score is most of the noise already."""
    with torch.no_grad():
        normal.mean.lerp_(target.mean, 0.9)
        normal.log_diagonal.lerp_(target.scale_tril.diagonal().log(), 0.9)
        normal.lower.lerp_(target.scale_tril.tril(-1), 0.9)
    spreads = [
        gradients(normal, target.log_prob, estimator, runs=50).var(0).sum().item() for estimator in ESTIMATORS
    ]
    assert spreads[1] == pytest.approx(spreads[2], rel=1e-9)
    assert spreads[2] < 0.1 * spreads[0]


@pytest.mark.parametrize("estimator", WITHOUT_SCORE, ids=repr)
def test_an_amortised_context_gets_the_same_unbiased_gradient(estimator):
    """An encoder's output as context: its parameters act through the draws, and through the density."""
    flow = flows.RealNVP(2, layers=2, hidden=(8,), context=2).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.3)
    encoder = nn.Linear(2, 2).double()
    density = StandardNormal(2).double().log_prob

    def of_encoder(chosen, seed):
        context = encoder(torch.ones(2, dtype=torch.float64))
        value = reverse_kl(flow, density, samples=64, estimator=chosen, context=context, seed=seed)
        return gradient(value, encoder)

    difference = torch.stack(
        [of_encoder(estimator, seed) - of_encoder(TotalGradient(), seed) for seed in range(60)]
    )
    assert difference.std(0).max() > 1e-4
    assert largest_z(difference, torch.zeros(())) < 4.0
