"""Maximum a posteriori: fits with a prior of the parameters, against closed forms."""

import math
from pathlib import Path

import pytest
import torch
from scipy.optimize import minimize
from torch.distributions import Normal

import logpx
from logpx.distributions import DiagonalNormal, Flow, FullNormal, StandardNormal
from logpx.errors import DivergedError, UsageError
from logpx.flows import RealNVP
from logpx.latent import ConjugatePrior, GaussianMixture, ProbabilisticPCA
from logpx.transforms import Affine


def rows(n: int = 40, columns: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, columns, generator=generator, dtype=torch.float64) * 2.0 + 3.0


def near_zero(model) -> torch.Tensor:
    return Normal(0.0, 0.1).log_prob(model.mean).sum()


def test_a_normal_mean_is_shrunk_as_the_closed_form_says():
    x = rows()
    model = logpx.fit(FullNormal(2).double(), x, prior=near_zero).model
    # At the mode of the joint density, given the covariance: (n Σ⁻¹ + 100)⁻¹ n Σ⁻¹ x̄.
    precision = torch.linalg.inv(model.covariance)
    expected = torch.linalg.solve(len(x) * precision + 100.0 * torch.eye(2), len(x) * precision @ x.mean(0))
    assert torch.allclose(model.mean, expected, atol=1e-6)
    # And given the mean, the covariance is the mean square around it.
    centred = x - model.mean
    assert torch.allclose(model.covariance, centred.mT @ centred / len(x), rtol=1e-5)


def test_weights_of_rows_count_as_rows():
    x = rows(30)
    weights = torch.arange(30) % 3
    once = logpx.fit(DiagonalNormal(2).double(), x, weights=weights.double(), prior=near_zero).model
    repeated = logpx.fit(DiagonalNormal(2).double(), x.repeat_interleave(weights, 0), prior=near_zero).model
    assert torch.allclose(once.mean, repeated.mean, atol=1e-7)


def test_a_principal_component_model_is_pulled_to_small_loadings():
    x = rows(60, 4) @ torch.diag(torch.tensor([4.0, 2.0, 1.0, 1.0]).double())

    def small(model) -> torch.Tensor:
        return Normal(0.0, 0.5).log_prob(model.loadings).sum()

    free = logpx.fit(ProbabilisticPCA(4, 1).double(), x).model
    pulled = logpx.fit(ProbabilisticPCA(4, 1).double(), x, prior=small).model
    assert pulled.loadings.norm() < 0.9 * free.loadings.norm()
    total = pulled.train().log_prob(x).sum() + small(pulled)
    slopes = torch.autograd.grad(total, [p for p in pulled.parameters() if p.requires_grad])
    assert max(slope.abs().max() for slope in slopes) < 1e-3
    assert total > free.log_prob(x).sum() + small(free)


def test_gradient_descent_finds_the_mode():
    x = rows(400, 1)
    flow = Flow(StandardNormal(1), Affine(1))

    def prior(model) -> torch.Tensor:
        return Normal(0.0, 0.05).log_prob(model.transform.shift).sum()

    options = {"max_steps": 800, "learning_rate": 0.02, "noise": 0.0, "validation_fraction": 0.0}
    logpx.fit(flow, x, prior=prior, batch_size=400, **options)

    def minus_posterior(parameters) -> float:
        shift, log_scale = parameters
        z = (x.numpy() - shift) * math.exp(-log_scale)
        return float((0.5 * z**2 + log_scale).sum() + 0.5 * (shift / 0.05) ** 2)

    best = minimize(minus_posterior, [0.0, 0.0], tol=1e-10).x
    found = [flow.transform.shift.item(), flow.transform.log_scale.item()]
    assert found == pytest.approx(best, abs=2e-3)
    assert found[0] < 0.9 * x.mean()


def test_a_conjugate_prior_is_that_of_the_constructor():
    x = rows(50)
    prior = ConjugatePrior(weight_rows=1.0, mean_rows=0.5, covariance_rows=2.0)
    given = logpx.fit(GaussianMixture(2, 2, prior=prior).double(), x).model
    passed = logpx.fit(GaussianMixture(2, 2).double(), x, prior=prior).model
    assert torch.equal(given.means, passed.means)
    assert torch.equal(given.covariances, passed.covariances)
    assert torch.equal(given.weights, passed.weights)


def test_a_saved_mixture_keeps_its_prior(tmp_path: Path):
    mixture = logpx.fit(GaussianMixture(2, 2), rows(50), prior=ConjugatePrior(covariance_rows=2.0)).model
    logpx.save(mixture, tmp_path / "model")
    assert logpx.load(tmp_path / "model").parts.prior.covariance_rows == 2.0


def test_a_mixture_with_a_prior_of_ones_own():
    x = torch.cat([rows(60), rows(60) + 30.0])
    mixture = GaussianMixture(2, 2, "diagonal").double()

    def prior(model: GaussianMixture) -> torch.Tensor:
        return Normal(10.0, 0.5).log_prob(model.means).sum()

    logpx.fit(mixture, x, prior=prior)
    total = mixture.train().log_prob(x).sum() + prior(mixture)
    slopes = torch.autograd.grad(total, list(mixture.parameters()))
    assert max(slope.abs().max() for slope in slopes) < 1e-2


BAD = [
    (3.0, "the prior is a float"),
    (lambda model: model.mean, "the prior returned shape"),
    (lambda model: 0.0, "the prior returned float"),
    (lambda model: (model.mean * math.inf).sum().detach(), "the log-prior is nan"),
    (lambda model: torch.tensor(1.0), "does not depend on any trained parameter"),
    (ConjugatePrior(mean_rows=1.0), "is for Gaussian mixtures"),
]


@pytest.mark.parametrize(("prior", "message"), BAD)
def test_a_bad_prior_is_named(prior, message: str):
    with pytest.raises(UsageError, match=message):
        logpx.fit(FullNormal(2), rows(), prior=prior)


def test_a_prior_without_a_mode_is_an_error_and_keeps_the_start():
    x, model = rows(), FullNormal(2).double()
    with pytest.raises(DivergedError, match="does not stay finite"):
        logpx.fit(model, x, prior=lambda m: m.mean.square().sum().exp())
    assert torch.allclose(model.mean, x.mean(0))


def test_a_flow_takes_a_prior_of_its_weights():
    def prior(model) -> torch.Tensor:
        return sum(Normal(0.0, 0.01).log_prob(p).sum() for p in model.parameters())

    def size(**options) -> float:
        flow = logpx.fit(RealNVP(2, layers=2, hidden=(8,)), rows(100), max_steps=200, **options).model
        return sum(p.square().sum().item() for p in flow.parameters())

    assert size(prior=prior) < 0.8 * size()
