"""Mixtures of categories: against scipy, numpy, and counting."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from logpx.errors import UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import BernoulliMixture, CategoricalMixture

LEVELS = [2, 4, 3]
EVERY = torch.tensor(list(product(*map(range, LEVELS))), dtype=torch.float64)


def random_mixture(components=3):
    mixture = CategoricalMixture(components, LEVELS).double()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.normal_()
    return mixture


def test_log_prob_is_scipys():
    mixture = random_mixture()
    with torch.no_grad():
        each = np.zeros((3, len(EVERY)))
        for column, size in enumerate(LEVELS):
            cells = np.eye(size)[EVERY[:, column].long()]
            for k in range(3):
                each[k] += stats.multinomial.logpmf(cells, 1, mixture.probabilities[column][k].numpy())
        expected = logsumexp(each + mixture.weights.log().numpy()[:, None], 0)
        np.testing.assert_allclose(mixture.log_prob(EVERY), expected, rtol=1e-9)
        assert mixture.log_prob(EVERY).exp().sum().item() == pytest.approx(1.0)


def test_missing_cells_are_summed_over():
    mixture = random_mixture()
    x = torch.tensor([[torch.nan, 3.0, torch.nan]], dtype=torch.float64)
    expected = mixture.log_prob(EVERY[EVERY[:, 1] == 3.0]).logsumexp(0)
    torch.testing.assert_close(mixture.log_prob(x)[0], expected)


def test_codes_outside_the_levels_are_impossible():
    mixture = random_mixture()
    assert (mixture.log_prob(torch.tensor([[2.0, 0.0, 0.0], [0.0, 4.0, torch.nan]])) == -torch.inf).all()


def test_statistics_are_weighted_counts():
    mixture = random_mixture()
    x = EVERY.clone()
    x[5, 2] = torch.nan
    weights = torch.rand(len(x), dtype=torch.float64)
    found = mixture.statistics(x, weights).parts.sums
    shares = mixture.responsibilities(x).detach().numpy() * weights.numpy()[:, None]
    cells = [x.numpy()[:, [column]] == np.arange(size) for column, size in enumerate(LEVELS)]
    np.testing.assert_allclose(found, shares.T @ np.hstack(cells), rtol=1e-12)


def test_one_component_takes_the_frequencies():
    x = EVERY[torch.randint(len(EVERY), (50,))]
    x[4, 0] = torch.nan
    mixture = CategoricalMixture(1, LEVELS).double()
    mixture.initialise_components(x, 0)
    for column, size in enumerate(LEVELS):
        there = x[~x[:, column].isnan(), column].long()
        expected = np.bincount(there, minlength=size) / len(there)
        np.testing.assert_allclose(mixture.probabilities[column].detach()[0], expected, atol=1e-12)


def test_a_prior_makes_unseen_levels_possible():
    x = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64).repeat(9, 1)
    mixture = CategoricalMixture(1, LEVELS, prior_rows=1.0).double()
    mixture.initialise_components(x, 0)
    # Of the nine rows and one that is spread equally, level 0 of the second column has a quarter of a row.
    assert mixture.probabilities[1][0, 0].item() == pytest.approx(0.25 / 10.0 / 10.0)


def test_two_levels_are_bernoulli():
    categorical, bernoulli = CategoricalMixture(2, [2, 2]).double(), BernoulliMixture(2, 2).double()
    with torch.no_grad():
        bernoulli.parts.logits.normal_()
        categorical.parts.logits[:, 1::2] = bernoulli.parts.logits
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [torch.nan, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(categorical.log_prob(x), bernoulli.log_prob(x))


def test_a_known_mixture_is_recovered():
    truth = CategoricalMixture(2, [3] * 6).double()
    with torch.no_grad():
        truth.logits.copy_(torch.tensor([0.35, 0.65]).log())
        likely = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]).log()
        truth.parts.logits.copy_(likely.repeat(1, 6))
        x = truth.sample(4000, seed=0)
    mixture = CategoricalMixture(2, [3] * 6).double()
    mixture.initialise_components(x, 0)
    expectation_maximisation(mixture, lambda: [(x, None)], tolerance=1e-9)
    order = mixture.weights.argsort()
    torch.testing.assert_close(mixture.weights[order], truth.weights, rtol=0, atol=0.03)
    for found, expected in zip(mixture.probabilities, truth.probabilities, strict=True):
        torch.testing.assert_close(found[order], expected, rtol=0, atol=0.05)


def test_draws_and_expectations():
    mixture = random_mixture()
    chosen = torch.tensor([1]).repeat(20_000)
    draws = mixture.parts.draw(chosen, torch.Generator().manual_seed(0))
    for column, size in enumerate(LEVELS):
        shares = torch.bincount(draws[:, column].long(), minlength=size).double() / len(draws)
        torch.testing.assert_close(shares, mixture.probabilities[column][1].detach(), rtol=0, atol=0.015)
    torch.testing.assert_close(draws.mean(0), mixture.parts.expectations()[1].detach(), rtol=0, atol=0.04)


def test_free_parameters():
    assert CategoricalMixture(3, LEVELS).free_parameters == 3 * (1 + 3 + 2) + 2


@pytest.mark.parametrize("levels", [[], [2, 1], [2, 2.5], "23", 3, [True, 2]])
def test_bad_levels(levels):
    with pytest.raises(UsageError, match="levels"):
        CategoricalMixture(2, levels)
