"""Mixtures of counts: against scipy and numpy."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from logpx.inference import expectation_maximisation
from logpx.latent import PoissonMixture


def random_mixture(components=3, features=2):
    mixture = PoissonMixture(components, features).double()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.normal_()
    return mixture


@pytest.mark.parametrize("large", [False, True])
def test_log_prob_is_scipys(large):
    mixture = random_mixture()
    x = torch.randint(0, 30, (50, 2)).double()
    if large:
        x[0, 0] = 5000.0
    with torch.no_grad():
        each = stats.poisson.logpmf(x.numpy()[None], mixture.rates.numpy()[:, None]).sum(-1)
        expected = logsumexp(each + mixture.weights.log().numpy()[:, None], 0)
        np.testing.assert_allclose(mixture.log_prob(x), expected, rtol=1e-11)


def test_probabilities_sum_to_one():
    mixture = random_mixture()
    counts = torch.arange(60, dtype=torch.float64)
    total = mixture.log_prob(torch.cartesian_prod(counts, counts)).exp().sum().item()
    assert total == pytest.approx(1.0, abs=1e-9)


def test_missing_cells_are_summed_over():
    mixture = random_mixture()
    counts = torch.arange(80, dtype=torch.float64)
    expected = mixture.log_prob(torch.stack([torch.full_like(counts, 3.0), counts], 1)).logsumexp(0)
    found = mixture.log_prob(torch.tensor([[3.0, torch.nan]], dtype=torch.float64))[0]
    torch.testing.assert_close(found, expected)


def test_large_counts_lose_no_digits_in_single_precision():
    mixture = PoissonMixture(1, 1)
    with torch.no_grad():
        mixture.parts.log_rates.fill_(16.0)
    x = torch.tensor([[8_886_000.0]])
    expected = stats.poisson.logpmf(x.item(), np.exp(16.0))
    assert mixture.log_prob(x).item() == pytest.approx(expected, rel=1e-5)


def test_statistics_are_weighted_sums():
    mixture = random_mixture()
    x = torch.randint(0, 9, (40, 2)).double()
    x[3, 1] = torch.nan
    weights = torch.rand(40, dtype=torch.float64)
    found = mixture.statistics(x, weights).parts.sums
    shares = mixture.responsibilities(x).detach().numpy() * weights.numpy()[:, None]
    there = ~np.isnan(x.numpy())
    expected = np.hstack([shares.T @ np.nan_to_num(x.numpy()), shares.T @ there])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_component_takes_the_mean():
    x = torch.randint(0, 9, (40, 2)).double()
    x[3, 1] = torch.nan
    mixture = PoissonMixture(1, 2).double()
    mixture.initialise_components(x, 0)
    np.testing.assert_allclose(mixture.rates.detach()[0], np.nanmean(x, 0), rtol=1e-12)


def test_a_prior_pulls_towards_the_mean_of_all():
    x = torch.tensor([[0.0], [0.0], [9.0]], dtype=torch.float64)
    mixture = PoissonMixture(2, 1, prior_rows=1.0).double()
    mixture.initialise_assigned(x, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    expected = torch.tensor([[(0.0 + 3.0) / 3.0], [(9.0 + 3.0) / 2.0]], dtype=torch.float64)
    torch.testing.assert_close(mixture.rates.detach(), expected)


@pytest.mark.parametrize("rows", [0.0, 2.0])
def test_a_column_of_zeros(rows):
    x = torch.zeros(10, 1, dtype=torch.float64)
    mixture = PoissonMixture(1, 1, prior_rows=rows).double()
    mixture.initialise_components(x, 0)
    expected = 2.0 * 0.05 / 12.0 if rows else 0.0
    assert mixture.rates.item() == pytest.approx(expected)
    assert mixture.log_prob(x).sum().item() == pytest.approx(-10.0 * expected)
    assert torch.isfinite(mixture.log_prob(x + 1.0)).all()


def test_a_known_mixture_is_recovered():
    truth = PoissonMixture(2, 3).double()
    with torch.no_grad():
        truth.logits.copy_(torch.tensor([0.3, 0.7]).log())
        truth.parts.log_rates.copy_(torch.tensor([[1.0, 6.0, 3.0], [5.0, 1.0, 3.0]]).log())
        x = truth.sample(4000, seed=0)
    mixture = PoissonMixture(2, 3).double()
    mixture.initialise_components(x, 0)
    expectation_maximisation(mixture, lambda: [(x, None)], tolerance=1e-9)
    order = mixture.weights.argsort()
    torch.testing.assert_close(mixture.weights[order], truth.weights, rtol=0, atol=0.03)
    torch.testing.assert_close(mixture.rates[order], truth.rates, rtol=0.06, atol=0.05)


def test_draws_have_the_rates_of_their_component():
    mixture = random_mixture()
    chosen = torch.tensor([2]).repeat(20_000)
    draws = mixture.parts.draw(chosen, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(0), mixture.rates[2].detach(), rtol=0.04, atol=0.01)
    torch.testing.assert_close(draws.var(0), mixture.rates[2].detach(), rtol=0.06, atol=0.01)


def test_free_parameters():
    assert PoissonMixture(3, 4).free_parameters == 3 * 4 + 2
