"""Evidence of models whose log p(x) is known exactly."""

import itertools
import math

import pytest
import torch
from torch.distributions import Independent, Normal

import logpx
from logpx.errors import DataError, UsageError
from logpx.flows import RealNVP
from logpx.inference import AnnealedImportanceSampling, evidence, simulated_sandwich
from logpx.latent import FactorAnalysis, GaussianMixture, ProbabilisticPCA


def linear_model(features: int = 6, latent: int = 2, noise: float = 0.5) -> ProbabilisticPCA:
    generator = torch.Generator().manual_seed(5)
    z = torch.randn(500, latent, dtype=torch.float64, generator=generator)
    loadings = torch.randn(latent, features, dtype=torch.float64, generator=generator)
    x = z @ loadings + noise * torch.randn(500, features, dtype=torch.float64, generator=generator)
    model = ProbabilisticPCA(features, latent).double()
    logpx.fit(model, x)
    return model


class WithProposal:
    """A model whose posterior is only approximate."""

    def __init__(self, model: ProbabilisticPCA, widen: float = 1.3) -> None:
        self.model, self.widen = model, widen
        self.prior, self.likelihood, self.parameters = model.prior, model.likelihood, model.parameters

    def posterior(self, x):
        exact = self.model.posterior(x)
        scale = exact.covariance_matrix.diagonal(dim1=-2, dim2=-1).sqrt()
        return Independent(Normal(exact.mean + 0.2, self.widen * scale), 1)


@pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])
@pytest.mark.parametrize("method", ["elbo", "iwae"])
def test_with_the_exact_posterior_a_bound_is_the_truth(kind, method):
    model = kind(6, 2).double()
    x = linear_model().sample(100, seed=1)
    logpx.fit(model, x)
    found = evidence(model, x, method, samples=30)
    torch.testing.assert_close(found.value, model.log_prob(x).detach(), rtol=0, atol=1e-10)
    assert found.kind == "lower bound"
    assert found.standard_error.max() < 1e-10
    assert found.k_hat.isneginf().all()
    assert found.reliable.all()


def test_elbo_and_kl_add_up_to_log_p():
    model = linear_model()
    x = model.sample(20, seed=2)
    approximate = WithProposal(model)
    found = evidence(approximate, x, "elbo", samples=10_000)
    q = approximate.posterior(x)
    p = model.posterior(x)
    spread = torch.diag_embed(q.variance)
    normal = torch.distributions.MultivariateNormal(q.mean, spread)
    gap = torch.distributions.kl_divergence(normal, p)
    difference = found.value + gap - model.log_prob(x)
    assert (difference.abs() < 5 * found.standard_error).all()


def test_bounds_rise_with_the_draws_to_log_p():
    model = linear_model()
    x = model.sample(400, seed=3)
    exact = model.log_prob(x).mean().item()
    means = [evidence(WithProposal(model), x, "iwae", samples=k).mean for k in (1, 4, 16, 64, 256)]
    # The last two differ by less than their errors.
    assert all(low < high for low, high in itertools.pairwise(means[:-1]))
    assert exact - 0.01 < means[-1] < exact + 0.005


def test_draws_from_the_prior_fail_as_the_latent_dimensions_grow():
    gaps = []
    for latent in (1, 4, 12):
        model = linear_model(features=20, latent=latent)
        x = model.sample(64, seed=4)
        found = evidence(model, x, "monte_carlo", samples=2000)
        gaps.append((model.log_prob(x) - found.value).mean().item())
        assert found.corrected is not None
    assert gaps[0] < 0.1
    assert gaps[0] < gaps[1] < gaps[2]
    assert gaps[2] > 5.0
    assert not found.reliable.any()
    assert "dominated by few draws" in str(found)


def test_discrete_latent_variables_can_be_drawn():
    mixture = GaussianMixture(3, 2).double()
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logpx.fit(mixture, x)
    exact = mixture.log_prob(x).detach()
    torch.testing.assert_close(evidence(mixture, x, "iwae", samples=4).value, exact, rtol=0, atol=1e-9)
    naive = evidence(mixture, x, "monte_carlo", samples=1000)
    assert abs(naive.mean - exact.mean().item()) < 6 * naive.mean_error + 1e-3
    with pytest.raises(UsageError, match="discrete"):
        evidence(mixture, x, "ais")


def test_a_flow_is_exact_and_has_nothing_else():
    flow = RealNVP(2, layers=2, hidden=(8,))
    x = torch.randn(5, 2)
    found = evidence(flow, x, "exact")
    assert (found.kind, found.samples) == ("exact", 0)
    torch.testing.assert_close(found.value, flow.log_prob(x).double())
    assert "exact" in str(found)
    with pytest.raises(UsageError, match="has no prior"):
        evidence(flow, x, "iwae")


@pytest.mark.parametrize(
    ("latent", "temperatures", "leapfrog"),
    [(4, 120, 5), pytest.param(10, 2000, 8, marks=pytest.mark.slow)],
)
def test_annealing_sandwiches_the_truth(latent, temperatures, leapfrog):
    model = linear_model(features=2 * latent, latent=latent)
    method = AnnealedImportanceSampling(temperatures, leapfrog)
    x, lower, upper = simulated_sandwich(model, rows=32, samples=16, seed=1, method=method)
    exact = model.log_prob(x).mean().item()
    assert (lower.kind, upper.kind) == ("lower bound", "upper bound")
    assert lower.mean - 3 * lower.mean_error < exact < upper.mean + 3 * upper.mean_error
    assert upper.mean - lower.mean < 0.1


@pytest.mark.slow
def test_more_temperatures_are_tighter():
    model = linear_model(features=10, latent=5)
    x = model.sample(32, seed=6)
    exact = model.log_prob(x).mean().item()
    gaps = []
    for temperatures in (5, 40, 320):
        method = AnnealedImportanceSampling(temperatures, leapfrog=5)
        gaps.append(exact - evidence(model, x, method, samples=8).mean)
    assert gaps[0] > gaps[1] > gaps[2] - 0.02
    assert abs(gaps[2]) < 0.1


def test_the_mean_of_the_weights_is_unbiased_for_any_transition():
    # With far too large a step hardly any proposal is accepted, and the weights stay unbiased.
    model = linear_model(features=3, latent=1)
    x = model.sample(1, seed=7).expand(64, -1)
    method = AnnealedImportanceSampling(temperatures=3, leapfrog=1, step=3.0)
    found = evidence(model, x, method, samples=2000)
    ratio = (found.value - model.log_prob(x)).exp()
    assert ratio.mean().item() == pytest.approx(1.0, abs=4 * ratio.std().item() / 8.0)


def test_the_same_seed_gives_the_same_numbers_and_leaves_torchs_generator():
    model = linear_model()
    x = model.sample(150, seed=8)
    state = torch.random.get_rng_state()
    first = evidence(WithProposal(model), x, samples=8, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first.value, evidence(WithProposal(model), x, samples=8, seed=3).value)
    assert torch.equal(first.value[:10], evidence(WithProposal(model), x[:10], samples=8, seed=3).value)
    assert not torch.equal(first.value, evidence(WithProposal(model), x, samples=8, seed=4).value)


def test_a_bound_of_tables_is_not_called_exact():
    class Bounded(ProbabilisticPCA):
        kind = "lower bound"

    with pytest.raises(UsageError, match="not exact"):
        evidence(Bounded(3, 1), torch.zeros(2, 3), "exact")


def test_bad_input_is_named():
    model = linear_model()
    with pytest.raises(UsageError, match="method"):
        evidence(model, torch.zeros(2, 6), "iwaee")
    with pytest.raises(UsageError, match="samples"):
        evidence(model, torch.zeros(2, 6), samples=0)
    with pytest.raises(DataError, match="shape"):
        evidence(model, torch.zeros(0, 6))
    x = torch.zeros(3, 6)
    x[1, 4] = math.nan
    with pytest.raises(DataError) as error:
        evidence(model, x)
    assert (error.value.row, error.value.column) == (2, 4)


def test_an_undefined_weight_is_no_reason_to_trust():
    model = linear_model()
    x = model.sample(5, seed=0)
    undefined = WithProposal(model)

    def likelihood(z):
        # Of each row's draws, the first has no density.
        inside = model.likelihood(z).base_dist
        mean = inside.loc.index_fill(0, torch.tensor(0), torch.nan)
        return Independent(Normal(mean, inside.scale, validate_args=False), 1)

    undefined.likelihood = likelihood
    found = evidence(undefined, x, "iwae", samples=1000)
    assert torch.isfinite(found.value).all()
    assert not found.reliable.any()
    assert evidence(WithProposal(model), x, "iwae", samples=1000).reliable.all()
