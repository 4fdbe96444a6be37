"""Mixtures of columns of all kinds: known ones recovered, saved as they are, compared with Gaussian ones."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

import logpx
from logpx.configuration import build, describe
from logpx.errors import DataError, UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import ConjugatePrior, GaussianMixture, MixedMixture

KINDS = ["poisson", "normal", 3, "normal", "bernoulli"]


def known_mixture():
    mixture = MixedMixture(2, KINDS).double()
    normal, bernoulli, poisson, categorical = mixture.parts.parts
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([0.4, 0.6]).log())
        normal.means.copy_(torch.tensor([[0.0, 1.0], [3.0, -1.0]]))
        normal.covariance.lowers[0, 1, 0] = 0.7
        bernoulli.logits.copy_(torch.tensor([[-1.0], [2.0]]))
        poisson.log_rates.copy_(torch.tensor([[1.5], [0.0]]))
        categorical.logits.copy_(torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]).log())
    return mixture


def test_log_prob_is_scipys():
    mixture = known_mixture()
    normal, bernoulli, poisson, categorical = mixture.parts.parts
    with torch.no_grad():
        x = mixture.sample(20, seed=0)
        cells = x.numpy()
        each = [
            stats.multivariate_normal.logpdf(cells[:, [1, 3]], normal.means[k], normal.matrices()[k])
            + stats.bernoulli.logpmf(cells[:, 4], bernoulli.expectations()[k, 0].item())
            + stats.poisson.logpmf(cells[:, 0], poisson.expectations()[k, 0].item())
            + np.log(categorical.probabilities()[0][k].numpy()[cells[:, 2].astype(int)])
            for k in range(2)
        ]
        expected = logsumexp(np.stack(each) + mixture.weights.log().numpy()[:, None], 0)
        np.testing.assert_allclose(mixture.log_prob(x), expected, rtol=1e-10)


def test_a_known_mixture_is_recovered_with_missing_cells():
    truth = known_mixture()
    with torch.no_grad():
        x = truth.sample(4000, seed=0)
    x[torch.rand(x.shape) < 0.1] = torch.nan
    mixture = MixedMixture(2, KINDS).double()
    mixture.initialise_components(x, 0)
    expectation_maximisation(mixture, lambda: [(x, None)], tolerance=1e-8)
    order = mixture.weights.argsort()
    torch.testing.assert_close(mixture.weights[order], truth.weights, rtol=0, atol=0.03)
    found, expected = mixture.parts.expectations()[order], truth.parts.expectations()
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.12)
    covariances = mixture.parts.parts[0].matrices()[order]
    torch.testing.assert_close(covariances, truth.parts.parts[0].matrices(), rtol=0, atol=0.2)


@pytest.mark.parametrize("covariance", ["full", "tied", "diagonal", "tied-spherical"])
def test_real_columns_alone_are_the_gaussian_mixture(covariance):
    x = torch.cat([torch.randn(60, 2), torch.randn(60, 2) + 4.0]).double()
    shares = torch.rand(120, 2, dtype=torch.float64).softmax(1)
    mixtures = MixedMixture(2, ["normal"] * 2, covariance), GaussianMixture(2, 2, covariance)
    results = []
    for mixture in mixtures:
        mixture.double()
        mixture.initialise_assigned(x, shares)
        results.append(expectation_maximisation(mixture, lambda: [(x, None)], max_iterations=20))
    assert results[0].log_likelihood == pytest.approx(results[1].log_likelihood, rel=1e-12)
    assert mixtures[0].free_parameters == mixtures[1].free_parameters


def test_description_and_state_are_the_whole_truth():
    prior = ConjugatePrior(1.0, 2.0, 3.0)
    mixture = MixedMixture(2, KINDS, "low_rank", rank=1, prior=prior)
    with torch.no_grad():
        x = known_mixture().float().sample(50, seed=0)
    mixture.initialise_components(x, 0)
    registry = {"MixedMixture": MixedMixture, "ConjugatePrior": ConjugatePrior}
    other = build(describe(mixture), registry)
    other.load_state_dict(mixture.state_dict())
    torch.testing.assert_close(other.log_prob(x), mixture.log_prob(x), rtol=0, atol=0)
    torch.testing.assert_close(other.log_prior(), mixture.log_prior(), rtol=0, atol=0)


def test_a_component_on_few_rows_is_found():
    with torch.no_grad():
        x = known_mixture().sample(40, seed=0)
    mixture = MixedMixture(2, KINDS).double()
    shares = torch.zeros(40, 2, dtype=torch.float64)
    shares[:, 0], shares[0] = 1.0, torch.tensor([0.0, 1.0])
    mixture.initialise_assigned(x, shares)
    assert mixture.collapsed(mixture.statistics(x))


def test_fit():
    with torch.no_grad():
        x = known_mixture().sample(300, seed=0)
    mixture = MixedMixture(2, KINDS)
    logpx.fit(mixture, x.numpy())
    with torch.no_grad():
        assert mixture.log_prob(x).mean() > known_mixture().log_prob(x).mean() - 0.01


def test_free_parameters():
    # Weight; means and covariance; probability; rate; levels.
    assert MixedMixture(2, KINDS).free_parameters == 1 + 2 * (2 + 3 + 1 + 1 + 2)


def test_errors_name_the_column():
    with torch.no_grad():
        x = known_mixture().sample(30, seed=0)
    x[4, 2] = 3.0
    with pytest.raises(DataError, match=r"row 5, column 2: the value is 3, .* 0 to 2"):
        MixedMixture(2, KINDS).initialise_components(x, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kinds": []},
        {"kinds": "normal"},
        {"kinds": ["normal", "gaussian"]},
        {"kinds": [1]},
        {"kinds": [True, "normal"]},
        {"kinds": ["normal", None]},
        {"kinds": ["bernoulli"], "covariance": "round"},
        {"kinds": ["normal"], "prior": 1.0},
        {"kinds": ["normal"], "floor": -1.0},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(UsageError):
        MixedMixture(2, **arguments)
