"""Parameters of normal distributions of every kind, and the statistics that numpy finds."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from logpx.latent import COVARIANCES
from logpx.latent.covariances import covariance_named
from logpx.latent.e_step import NormalParameters


@pytest.fixture
def make_parameters():
    """Return a function that makes random parameters, in units that are not those of the means."""

    def make(kind, components=3, features=4, shift=0.0):
        ranks = {"rank": 2} if COVARIANCES[kind].ranked else {}
        covariance = covariance_named(kind, components, features, **ranks).double()
        with torch.no_grad():
            for parameter in covariance.parameters():
                parameter.normal_(0.0, 0.3)
        means = shift + torch.randn(components, features, dtype=torch.float64)
        centre = means.mean(0) + 0.1
        scale = torch.linspace(0.5, 2.0, features, dtype=torch.float64)
        return NormalParameters(means, covariance.requires_grad_(False), centre, scale)

    return make


@pytest.fixture
def expected_statistics():
    """Return a function that gives count, mean and scatter of rows without missing cells, by numpy."""

    def statistics(shares, x, diagonal, tied):
        shares, x = np.asarray(shares), np.asarray(x)
        means = np.stack([np.average(x, 0, share) for share in shares])
        pairs = zip(shares, means, strict=True)
        scatters = np.stack([(share[:, None] * (x - mean)).T @ (x - mean) for share, mean in pairs])
        scatters = np.diagonal(scatters, axis1=1, axis2=2) if diagonal else scatters
        return shares.sum(1, keepdims=True), means, scatters.sum(0, keepdims=True) if tied else scatters

    return statistics


@pytest.fixture
def densities():
    """Return a function that gives the log-density of the cells that are there, ``(K, n)``, by scipy."""

    def log_prob(parameters, x):
        x = np.asarray(x)
        matrices = parameters.covariance.matrices().expand(len(parameters.means), -1, -1).numpy()
        result = np.zeros((len(matrices), len(x)))
        for k, (mean, matrix) in enumerate(zip(parameters.means.numpy(), matrices, strict=True)):
            for i, row in enumerate(x):
                known = ~np.isnan(row)
                if known.any():
                    normal = multivariate_normal(mean[known], matrix[np.ix_(known, known)])
                    result[k, i] = normal.logpdf(row[known])
        return result

    return log_prob
