"""Conjugate priors: their density by scipy, and what EM makes of rows that were not observed."""

import numpy as np
import pytest
import torch
from scipy.stats import dirichlet, invwishart, multivariate_normal

from logpx.configuration import build, describe
from logpx.errors import UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import COVARIANCES, ConjugatePrior, GaussianMixture

MEAN = [0.5, -1.0, 2.0]
COVARIANCE = [[2.0, 0.3, 0.0], [0.3, 1.0, 0.1], [0.0, 0.1, 0.5]]


def given(**rows):
    return ConjugatePrior(mean=MEAN, covariance=COVARIANCE, **rows)


def test_density_is_that_of_dirichlet_and_normal_inverse_wishart(make_mixture, blobs):
    prior = given(weight_rows=1.5, mean_rows=2.0, covariance_rows=7.0)
    values, expected = [], []
    for scale in (1.0, 0.5):
        mixture = make_mixture(prior=prior)
        mixture.parts.initialise(blobs())
        with torch.no_grad():
            for parameter in mixture.parameters():
                parameter.mul_(scale)
            values.append(float(mixture.log_prior()))
        log_density = dirichlet(np.full(3, 2.5)).logpdf(mixture.weights.detach().numpy())
        covariances = mixture.covariances.detach().numpy()
        for mean, matrix in zip(mixture.means.detach().numpy(), covariances, strict=True):
            log_density += multivariate_normal(MEAN, matrix / 2.0).logpdf(mean)
            # nu = c - D - 2.
            log_density += _inverse_wishart(matrix, 7.0 * np.array(COVARIANCE), 7.0 - 3.0 - 2.0)
        expected.append(log_density)
    # Both are up to a constant.
    assert values[1] - values[0] == pytest.approx(expected[1] - expected[0], rel=1e-9)


def _inverse_wishart(matrix, scale, freedom):
    """Return the log-density up to a constant, also for degrees of freedom that scipy refuses."""
    reference = invwishart(freedom + 10.0, scale).logpdf(matrix)
    return reference + 0.5 * 10.0 * np.linalg.slogdet(matrix)[1]


@pytest.mark.parametrize("kind", [kind for kind in COVARIANCES if "low_rank" not in kind])
def test_the_gradient_of_the_posterior_vanishes(kind, blobs):
    rank = {"rank": 1} if COVARIANCES[kind].ranked else {}
    prior = given(weight_rows=1.0, mean_rows=3.0, covariance_rows=4.0)
    mixture = GaussianMixture(2, 3, kind, prior=prior, **rank).double()
    x = blobs(80)
    mixture.initialise_components(x)
    expectation_maximisation(mixture, lambda: [(x, None)], tolerance=1e-14, max_iterations=3000)
    (mixture.log_prob(x).sum() + mixture.log_prior()).backward()
    for name, parameter in mixture.named_parameters():
        gradient = parameter.grad.tril(-1) if name.endswith("lowers") else parameter.grad
        assert gradient.abs().max() < 1e-4, name


def test_covariance_rows_are_added_to_the_scatter(blobs):
    x = blobs(50)
    mixture = GaussianMixture(1, 3, prior=given(covariance_rows=10.0)).double()
    mixture.initialise_components(x)
    sums = np.cov(x.numpy().T, bias=True) * 50.0 + 10.0 * np.array(COVARIANCE)
    np.testing.assert_allclose(mixture.covariances[0].detach(), sums / 60.0, rtol=1e-5, atol=1e-6)


def test_mean_rows_pull_the_mean(blobs):
    x = blobs(50)
    mixture = GaussianMixture(1, 3, prior=given(mean_rows=10.0)).double()
    mixture.initialise_components(x)
    expected = (50.0 * x.mean(0).numpy() + 10.0 * np.array(MEAN)) / 60.0
    np.testing.assert_allclose(mixture.means[0].detach(), expected, rtol=1e-6)


def test_weight_rows_even_out_the_weights(blobs):
    x = blobs(50)
    mixture = GaussianMixture(2, 3, prior=ConjugatePrior(weight_rows=5.0)).double()
    shares = torch.zeros(50, 2, dtype=torch.float64)
    shares[:40, 0], shares[40:, 1] = 1.0, 1.0
    mixture.initialise_assigned(x, shares)
    torch.testing.assert_close(mixture.weights.detach(), torch.tensor([45.0, 15.0]).double() / 60.0)


def test_by_default_the_components_fill_the_volume_of_the_data(blobs):
    x = blobs()
    mixture = GaussianMixture(4, 3, prior=ConjugatePrior(covariance_rows=1.0)).double()
    mixture.initialise_components(x)
    expected = np.linalg.slogdet(np.cov(x.numpy().T, bias=True))[1] - 2.0 * np.log(4.0)
    found = np.linalg.slogdet(mixture.parts.prior_covariance.numpy())[1]
    assert found == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(mixture.parts.prior_mean, x.mean(0))


def test_no_prior_and_no_rows_are_the_same(make_mixture):
    x = torch.randn(50, 3, dtype=torch.float64)
    mixtures = [make_mixture(prior=prior) for prior in (None, ConjugatePrior())]
    for mixture in mixtures:
        mixture.update(mixture.statistics(x))
        assert mixture.log_prior().item() == 0.0
    assert torch.equal(mixtures[0].covariances, mixtures[1].covariances)


def test_is_described_by_its_arguments():
    prior = given(covariance_rows=2.0)
    assert describe(build(describe(prior), {"ConjugatePrior": ConjugatePrior})) == describe(prior)


@pytest.mark.parametrize("name", ["weight_rows", "mean_rows", "covariance_rows"])
@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan"), "1", True])
def test_impossible_numbers_of_rows(name, value):
    with pytest.raises(UsageError, match=name) as error:
        ConjugatePrior(**{name: value})
    assert error.value.fix


@pytest.mark.parametrize("wrong", [{"mean": [0.0, 1.0]}, {"covariance": [[1.0, 0.0], [0.0, 1.0]]}])
def test_a_prior_of_other_features(wrong, blobs):
    mixture = GaussianMixture(2, 3, prior=ConjugatePrior(covariance_rows=1.0, **wrong))
    with pytest.raises(UsageError, match="shape") as error:
        mixture.initialise_components(blobs())
    assert error.value.fix
