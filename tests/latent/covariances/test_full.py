"""Covariances without restriction: the average scatter, and the best matrix that keeps to a floor."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wishart

from logpx.latent.covariances import FullCovariance


def test_update_takes_the_average_scatter():
    averages = torch.from_numpy(wishart(6, np.eye(3)).rvs(4, random_state=0))
    covariance = FullCovariance(4, 3).double()
    covariance.update(averages, torch.ones(4, 1).double(), torch.full((3,), 1e-9).double())
    torch.testing.assert_close(covariance.matrices().detach(), averages, rtol=1e-12, atol=1e-12)


def test_factors_are_cholesky_factors():
    covariance = FullCovariance(2, 3).double()
    with torch.no_grad():
        covariance.log_diagonals.normal_()
        covariance.lowers.normal_()
    torch.testing.assert_close(covariance.factors(), torch.linalg.cholesky(covariance.matrices()))


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_no_other_matrix_above_the_floor_is_better(seed):
    generator = np.random.default_rng(seed)
    floor = generator.uniform(0.5, 2.0, 3)
    root = np.sqrt(floor)
    scatter = wishart(3, np.eye(3)).rvs(random_state=generator)
    covariance = FullCovariance(1, 3).double()
    covariance.update(
        torch.from_numpy(scatter)[None], torch.ones(1, 1).double(), torch.from_numpy(floor).double()
    )
    best = covariance.matrices().detach()[0].numpy()
    assert np.linalg.eigvalsh(best / np.outer(root, root)).min() > 1.0 - 1e-9

    def objective(matrix):
        return -np.linalg.slogdet(matrix)[1] - np.trace(np.linalg.solve(matrix, scatter))

    for size in (1e-3, 0.1, 1.0):
        other = best + size * generator.normal(size=(3, 3))
        values, vectors = np.linalg.eigh((other + other.T) / 2.0 / np.outer(root, root))
        other = (vectors * np.maximum(values, 1.0)) @ vectors.T * np.outer(root, root)
        assert objective(other) <= objective(best) + 1e-10


def test_a_singular_scatter_is_raised_to_the_floor():
    row = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    covariance = FullCovariance(1, 3).double()
    covariance.update((row[:, None] * row)[None], torch.ones(1, 1).double(), torch.full((3,), 0.01).double())
    values = torch.linalg.eigvalsh(covariance.matrices().detach())[0]
    torch.testing.assert_close(values, torch.tensor([0.01, 0.01, 14.0]).double(), rtol=1e-9, atol=1e-9)
