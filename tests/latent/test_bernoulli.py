"""Mixtures of zeros and ones: against scipy, numpy, and counting."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from logpx.inference import expectation_maximisation
from logpx.latent import BernoulliMixture
from logpx.latent.bernoulli import BernoulliComponents

EVERY = torch.tensor(list(product([0.0, 1.0], repeat=4)), dtype=torch.float64)


def random_mixture(components=3, features=4):
    mixture = BernoulliMixture(components, features).double()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.normal_()
    return mixture


def test_log_prob_is_scipys():
    mixture = random_mixture()
    with torch.no_grad():
        each = stats.bernoulli.logpmf(EVERY.numpy()[None], mixture.probabilities.numpy()[:, None]).sum(-1)
        expected = logsumexp(each + mixture.weights.log().numpy()[:, None], 0)
        np.testing.assert_allclose(mixture.log_prob(EVERY), expected, rtol=1e-12)
        assert mixture.log_prob(EVERY).exp().sum().item() == pytest.approx(1.0)


def test_missing_cells_are_summed_over():
    mixture = random_mixture()
    x = torch.tensor([[1.0, torch.nan, 0.0, torch.nan]], dtype=torch.float64)
    fits = (EVERY[:, 0] == 1.0) & (EVERY[:, 2] == 0.0)
    expected = mixture.log_prob(EVERY[fits]).logsumexp(0)
    torch.testing.assert_close(mixture.log_prob(x)[0], expected)


def test_statistics_are_weighted_counts():
    mixture = random_mixture()
    x = EVERY.clone()
    x[3, 1] = torch.nan
    weights = torch.rand(16, dtype=torch.float64)
    found = mixture.statistics(x, weights).parts.sums
    shares = mixture.responsibilities(x).detach().numpy() * weights.numpy()[:, None]
    ones = shares.T @ np.nan_to_num(x.numpy())
    zeros = shares.T @ (x.numpy() == 0.0)
    np.testing.assert_allclose(found, np.hstack([ones, zeros]), rtol=1e-12)


def test_one_component_takes_the_frequencies():
    x = (torch.rand(100, 3, dtype=torch.float64) < 0.3).double()
    x[torch.rand(100, 3) < 0.2] = torch.nan
    mixture = BernoulliMixture(1, 3).double()
    mixture.initialise_components(x, 0)
    np.testing.assert_allclose(mixture.probabilities.detach()[0], np.nanmean(x, 0), rtol=1e-12)


def test_a_prior_adds_rows_of_the_datas_frequencies():
    x = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    mixture = BernoulliMixture(1, 2, prior_rows=2.0).double()
    mixture.initialise_components(x, 0)
    # The data and one row that is half 0, half 1, have 0.5 and 2.5 ones in 4 rows.
    expected = torch.tensor([[2.0 * 0.125 / 5.0, (2.0 + 2.0 * 0.625) / 5.0]], dtype=torch.float64)
    torch.testing.assert_close(mixture.probabilities.detach(), expected)


def test_a_constant_column_has_finite_logits():
    x = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    mixture = BernoulliMixture(1, 2).double()
    mixture.initialise_components(x, 0)
    assert mixture.parts.logits[0, 0].item() == -700.0
    torch.testing.assert_close(mixture.log_prob(x).detach(), torch.full((2,), 0.5).double().log())
    assert mixture.log_prob(torch.tensor([[1.0, 0.0]])).item() == pytest.approx(-700.0 - np.log(2.0))


def test_a_known_mixture_is_recovered():
    truth = BernoulliMixture(2, 6).double()
    with torch.no_grad():
        truth.logits.copy_(torch.tensor([0.3, 0.7]).log())
        truth.parts.logits.copy_(torch.tensor([[1.5], [-1.5]]).expand(2, 6))
        x = truth.sample(4000, seed=0)
    mixture = BernoulliMixture(2, 6).double()
    mixture.initialise_components(x, 0)
    expectation_maximisation(mixture, lambda: [(x, None)], tolerance=1e-9)
    order = mixture.weights.argsort()
    torch.testing.assert_close(mixture.weights[order], truth.weights, rtol=0, atol=0.03)
    torch.testing.assert_close(mixture.probabilities[order], truth.probabilities, rtol=0, atol=0.05)


def test_draws_have_the_probabilities_of_their_component():
    mixture = random_mixture()
    chosen = torch.tensor([2]).repeat(20_000)
    draws = mixture.parts.draw(chosen, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(0), mixture.probabilities[2].detach(), rtol=0, atol=0.015)


def test_free_parameters():
    assert BernoulliMixture(3, 4).free_parameters == 3 * 4 + 2
    assert BernoulliComponents(3, 4).free_parameters == 12
