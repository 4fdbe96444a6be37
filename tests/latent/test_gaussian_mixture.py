"""The Gaussian mixture: its density against scikit-learn's, its posterior, its samples."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as Reference

from logpx.errors import UsageError
from logpx.latent import GaussianMixture


def random_mixture(components=3, features=2, dtype=torch.float64, **options):
    torch.manual_seed(0)
    mixture = GaussianMixture(components, features, **options).to(dtype)
    with torch.no_grad():
        mixture.logits.normal_()
        mixture.means.normal_(0.0, 2.0)
        mixture.log_diagonals.normal_(0.0, 0.3)
        mixture.lowers.normal_(0.0, 0.5)
    return mixture


def scikit_learns(mixture):
    """Return scikit-learn's mixture of the same parameters."""
    reference = Reference(mixture.components)
    reference.weights_ = mixture.weights.detach().double().numpy()
    reference.means_ = mixture.means.detach().double().numpy()
    covariances = mixture.covariances.detach().double().numpy()
    reference.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(covariances)).swapaxes(-1, -2)
    return reference


@pytest.mark.parametrize("features", [1, 2, 7])
def test_density_and_responsibilities_are_scikit_learns(features):
    mixture = random_mixture(4, features)
    x = 3.0 * torch.randn(500, features, dtype=torch.float64)
    reference = scikit_learns(mixture)
    with torch.no_grad():
        np.testing.assert_allclose(mixture.log_prob(x), reference.score_samples(x.numpy()), rtol=1e-10)
        found = mixture.responsibilities(x)
    np.testing.assert_allclose(found, reference.predict_proba(x.numpy()), atol=1e-12)


def test_responsibilities_sum_to_one_however_far_away():
    directions = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.7, 0.7]])
    for dtype, distances in ((torch.float64, (1e4, 1e30, 1e200)), (torch.float32, (1e4, 1e20, 1e30))):
        mixture = random_mixture(dtype=dtype)
        for distance in distances:
            found = mixture.responsibilities(directions.to(dtype) * distance)
            torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=dtype))


def test_log_prob_far_away_has_a_gradient():
    mixture = random_mixture(dtype=torch.float32)
    x = torch.tensor([[1e4, -1e4], [1e10, 0.0]], requires_grad=True)
    log_prob = mixture.log_prob(x)
    assert torch.isfinite(log_prob).all()
    gradients = torch.autograd.grad(log_prob.sum(), [x, *mixture.parameters()])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_sample_moments():
    mixture = random_mixture()
    with torch.no_grad():
        x = mixture.sample(200_000, seed=0)
        mean = mixture.weights @ mixture.means
        deviations = mixture.means - mean
        covariance = torch.einsum("k,kij->ij", mixture.weights, mixture.covariances)
        covariance = covariance + torch.einsum("k,ki,kj->ij", mixture.weights, deviations, deviations)
    error = (covariance.diagonal() / 200_000).sqrt()
    assert ((x.mean(0) - mean).abs() < 4.0 * error).all()
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0.03, atol=0.03)


def test_samples_come_in_random_order():
    mixture = random_mixture()
    with torch.no_grad():
        mixture.means.copy_(torch.tensor([[-100.0, 0.0], [0.0, 0.0], [100.0, 0.0]]))
        which = (mixture.sample(3000, seed=0)[:, 0] / 100.0).round()
    # In blocks by component there would be two changes.
    assert (which.diff() != 0).sum() > 500
    shares = torch.stack([(which == value).double().mean() for value in (-1.0, 0.0, 1.0)])
    torch.testing.assert_close(shares, mixture.weights.detach(), rtol=0, atol=0.03)


def test_statistics_of_chunks_add_up(monkeypatch):
    mixture = random_mixture()
    x, weights = 3.0 * torch.randn(1000, 2, dtype=torch.float64), torch.rand(1000, dtype=torch.float64)
    with torch.no_grad():
        whole = mixture.statistics(x, weights)
        parts = [mixture.statistics(*part) for part in zip(x.split(77), weights.split(77), strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        # What it holds in memory at once is no part of the result either.
        monkeypatch.setattr("logpx.latent.gaussian_mixture._CHUNK_NUMBERS", 1)
        chunked = mixture.statistics(x, weights)
    for other in (total, chunked):
        for name in ("count", "mean", "scatter", "log_likelihood", "weight"):
            torch.testing.assert_close(getattr(other, name), getattr(whole, name), rtol=1e-10, atol=1e-10)


def test_statistics_are_those_of_the_responsibilities():
    mixture = random_mixture()
    x = 3.0 * torch.randn(300, 2, dtype=torch.float64)
    with torch.no_grad():
        statistics, shares = mixture.statistics(x), mixture.responsibilities(x)
        torch.testing.assert_close(statistics.count, shares.sum(0))
        torch.testing.assert_close(statistics.log_likelihood, mixture.log_prob(x).sum())
        for k in range(3):
            weights = shares[:, k].numpy()
            np.testing.assert_allclose(statistics.mean[k], np.average(x, 0, weights), rtol=1e-9)
            expected = np.cov(x.numpy().T, aweights=weights, ddof=0) * weights.sum()
            np.testing.assert_allclose(statistics.scatter[k], expected, rtol=1e-9, atol=1e-9)


def test_bad_arguments():
    for arguments in ({"components": 0, "features": 2}, {"components": 2, "features": 0}):
        with pytest.raises(UsageError):
            GaussianMixture(**arguments)
    with pytest.raises(UsageError, match="prior"):
        GaussianMixture(2, 2, prior_rows=-1.0)
    with pytest.raises(UsageError, match="no rows"):
        GaussianMixture(2, 2).statistics(torch.zeros(0, 2))
