"""Factor analysis and probabilistic PCA against scikit-learn's, and their limits."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA, FactorAnalysis

from logpx.latent.covariances import FactorCovariance, PrincipalCovariance

FLOOR = torch.full((6,), 1e-9, dtype=torch.float64)
ONE = torch.ones(1, 1, dtype=torch.float64)


def rows(seed=0):
    generator = np.random.default_rng(seed)
    loadings = generator.normal(size=(2, 6))
    x = generator.normal(size=(300, 2)) @ loadings + generator.normal(size=(300, 6)) * np.linspace(0.3, 1, 6)
    return x - x.mean(0)


def updated(covariance, x, times=1):
    covariance = covariance.double()
    for _ in range(times):
        covariance.update(torch.from_numpy(x.T @ x / len(x))[None], ONE, FLOOR)
    return covariance


def score(covariance, x):
    matrix = covariance.matrices().detach()[0].numpy()
    return multivariate_normal(np.zeros(x.shape[1]), matrix).logpdf(x).mean()


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_principal_components_are_scikit_learns(rank):
    x = rows()
    covariance = updated(PrincipalCovariance(1, 6, rank), x)
    # scikit-learn divides by n - 1.
    expected = PCA(rank).fit(x).get_covariance() * (len(x) - 1) / len(x)
    np.testing.assert_allclose(covariance.matrices().detach()[0], expected, rtol=1e-9, atol=1e-10)


def test_the_floor_of_a_wide_column_does_not_blur_the_others():
    x = np.random.default_rng(0).normal(size=(300, 3)) * [1e4, 1.0, 1.0]
    x = x - x.mean(0)
    covariance = PrincipalCovariance(1, 3, 1).double()
    covariance.update(torch.from_numpy(x.T @ x / len(x))[None], ONE, torch.from_numpy(1e-6 * x.var(0)))
    expected = PCA(1).fit(x).get_covariance() * (len(x) - 1) / len(x)
    np.testing.assert_allclose(covariance.matrices().detach()[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2])
def test_factors_are_as_good_as_scikit_learns(rank):
    x = rows()
    covariance = updated(FactorCovariance(1, 6, rank), x, times=300)
    reference = FactorAnalysis(rank, tol=1e-10, max_iter=5000, svd_method="lapack").fit(x)
    assert score(covariance, x) >= reference.score(x) - 1e-7


def test_the_gradient_vanishes_after_many_updates():
    x = rows()
    covariance = updated(FactorCovariance(1, 6, 2), x, times=400)
    scatter = torch.from_numpy(x.T @ x / len(x))[None]
    gradients = torch.autograd.grad(covariance.penalty(scatter).sum(), list(covariance.parameters()))
    assert all(gradient.abs().max() < 1e-6 for gradient in gradients)


def test_more_steps_do_in_one_update_what_fewer_do_in_several():
    x = rows()
    few = updated(FactorCovariance(1, 6, 2, steps=5), x, times=40)
    many = updated(FactorCovariance(1, 6, 2, steps=200), x)
    torch.testing.assert_close(few.matrices(), many.matrices(), rtol=1e-8, atol=1e-8)


def test_rank_zero_is_diagonal_or_spherical():
    x = rows()
    variances = x.var(0)
    found = updated(FactorCovariance(1, 6, 0), x).matrices().detach()[0]
    np.testing.assert_allclose(found, np.diag(variances), rtol=1e-10)
    found = updated(PrincipalCovariance(1, 6, 0), x).matrices().detach()[0]
    np.testing.assert_allclose(found, variances.mean() * np.eye(6), rtol=1e-10, atol=1e-12)


def test_all_but_one_principal_component_is_the_scatter_itself():
    x = rows()
    found = updated(PrincipalCovariance(1, 6, 5), x).matrices().detach()[0]
    np.testing.assert_allclose(found, x.T @ x / len(x), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", [FactorCovariance, PrincipalCovariance])
def test_density_where_factors_are_far_larger_than_the_noise(kind):
    covariance = kind(1, 6, 2).double()
    with torch.no_grad():
        covariance.loadings.normal_(0.0, 1e3)
        covariance.log_noise_variances.fill_(-6.0)
    latent, noise = torch.randn(1, 50, 2).double(), torch.randn(1, 50, 6).double()
    deviations = latent @ covariance.loadings.detach().mT + noise * np.exp(-3.0)
    # By eigenvalues, of which those of the noise are known: a dense inverse would lose digits.
    matrix = covariance.matrices().detach()[0].numpy()
    values, vectors = np.linalg.eigh(matrix)
    values[:4] = np.exp(-6.0)
    z = deviations[0].numpy() @ vectors
    expected = -0.5 * ((z**2 / values).sum(1) + np.log(values).sum() + 6.0 * np.log(2.0 * np.pi))
    np.testing.assert_allclose(covariance.log_normal(deviations).detach()[0], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [FactorCovariance, PrincipalCovariance])
def test_signs_of_loadings_are_settled(kind):
    loadings = updated(kind(1, 6, 2), rows()).loadings.detach()[0]
    largest = loadings.gather(0, loadings.abs().argmax(0, keepdim=True))
    assert (largest > 0.0).all()
