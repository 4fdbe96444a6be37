"""Posteriors of real data, against quadrature in numpy and scipy."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn.datasets import load_breast_cancer

from logpx.posteriors import Trust, densities, posterior

PRIOR = 2.5


class Exact(NamedTuple):
    """What a grid finds."""

    log_evidence: float
    mean: np.ndarray
    deviation: np.ndarray


def breast_cancer(every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ones, radius and texture of tumours, and whether they are benign, of every so many rows."""
    data = load_breast_cancer()
    features = data.data[:, :2]
    standard = (features - features.mean(0)) / features.std(0)
    return np.column_stack([np.ones(len(standard)), standard])[::every], data.target[::every].astype(float)


def by_quadrature(x: np.ndarray, y: np.ndarray, step: float = 0.5, reach: float = 8.0) -> Exact:
    """Return the sum over a grid in units of the curvature at the mode; one twice as fine agrees to 1e-6."""
    sign, size = 2.0 * y - 1.0, x.shape[1]

    def log_joint(beta: np.ndarray) -> np.ndarray:
        prior = -0.5 * (beta**2).sum(-1) / PRIOR**2 - size * np.log(PRIOR * np.sqrt(2.0 * np.pi))
        return prior - np.logaddexp(0.0, -(beta @ x.T) * sign).sum(-1)

    mode = minimize(lambda beta: -log_joint(beta), np.zeros(size)).x
    spread = expit(x @ mode) * expit(-x @ mode)
    factor = np.linalg.cholesky(np.linalg.inv((x.T * spread) @ x + np.eye(size) / PRIOR**2))
    axis = np.arange(-reach, reach + 0.5 * step, step)
    grid = np.stack(np.meshgrid(*[axis] * size, indexing="ij"), -1).reshape(-1, size)
    beta = mode + grid @ factor.T
    values = np.concatenate([log_joint(part) for part in np.array_split(beta, 40)])
    total = logsumexp(values)
    weights = np.exp(values - total)
    mean = weights @ beta
    cell = size * np.log(step) + np.log(np.diagonal(factor)).sum()
    return Exact(float(total + cell), mean, np.sqrt(weights @ (beta - mean) ** 2))


# Of few rows the posterior is skewed: there the normal distribution at the mode is far off.
@pytest.mark.parametrize("every", [*(pytest.param(every, marks=pytest.mark.slow) for every in (1, 12)), 25])
def test_logistic_regression_of_tumours_is_that_of_quadrature(every: int):
    x, y = breast_cancer(every)
    exact = by_quadrature(x, y)
    problem = densities.logistic_regression(torch.from_numpy(x), torch.from_numpy(y), PRIOR)
    found = posterior(**problem.arguments, draws=100_000)
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert found.elbo < exact.log_evidence
    assert found.log_evidence == pytest.approx(exact.log_evidence, abs=0.02)
    assert abs(found.log_evidence - exact.log_evidence) < 4.0 * found.diagnosis.log_evidence_error
    rows = found.summary().rows
    for row, mean, deviation in zip(rows, exact.mean, exact.deviation, strict=True):
        assert row.mean == pytest.approx(mean, abs=0.03 * deviation)
        assert row.standard_deviation == pytest.approx(deviation, rel=0.04)


def test_of_few_rows_only_resampled_draws_are_right_and_the_verdict_says_so():
    x, y = breast_cancer(12)
    exact = by_quadrature(x, y)
    problem = densities.logistic_regression(torch.from_numpy(x), torch.from_numpy(y), PRIOR)
    found = posterior(**problem.arguments, method="laplace")
    assert found.diagnosis.trust is Trust.AFTER_RESAMPLING
    plain, resampled = (
        (found.sample(20_000, resampled=chosen).mean(0).numpy() - exact.mean) / exact.deviation
        for chosen in (False, True)
    )
    assert np.abs(plain).max() > 0.5
    assert np.abs(resampled).max() < 0.1
