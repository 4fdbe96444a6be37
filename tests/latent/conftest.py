"""Mixtures with random parameters, rows to fit them to, and their densities by other means."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from logpx.inference import expectation_maximisation
from logpx.latent import COVARIANCES, GaussianMixture


def _options(kind, features):
    return {"covariance": kind} | ({"rank": min(2, features - 1)} if COVARIANCES[kind].ranked else {})


@pytest.fixture
def make_mixture():
    """Return a function that makes a mixture with random parameters."""

    def make(kind="full", components=3, features=3, dtype=torch.float64, **options):
        torch.manual_seed(0)
        mixture = GaussianMixture(components, features, **_options(kind, features), **options).to(dtype)
        with torch.no_grad():
            mixture.logits.normal_()
            mixture.means.normal_(0.0, 2.0)
            for parameter in mixture.covariance.parameters():
                parameter.normal_(0.0, 0.4)
        return mixture

    return make


@pytest.fixture
def fit_mixture():
    """Return a function that runs EM from one start."""

    def fit(x, components, kind="full", weights=None, seed=0, prior=None, start=None, **options):
        mixture = GaussianMixture(components, x.shape[1], **_options(kind, x.shape[1]), prior=prior).double()
        mixture.initialise_components(x, seed, start)
        options = {"tolerance": 1e-9, "max_iterations": 500} | options
        return mixture, expectation_maximisation(mixture, lambda: [(x, weights)], **options)

    return fit


@pytest.fixture
def blobs():
    """Return a function that draws rows from four separate normal distributions."""

    def draw(rows=200, features=3, seed=0, missing=0.0):
        generator = torch.Generator().manual_seed(seed)
        centres = 4.0 * torch.randn(4, features, generator=generator, dtype=torch.float64)
        chosen = torch.randint(0, 4, (rows,), generator=generator)
        x = centres[chosen] + torch.randn(rows, features, generator=generator, dtype=torch.float64)
        holes = torch.rand(rows, features, generator=generator) < missing
        return x.masked_fill(holes, torch.nan)

    return draw


@pytest.fixture
def joint_by_scipy():
    """Return a function that gives log(weight times density), ``(K, n)``, of the cells that are there."""

    def joint(mixture, x):
        x = np.asarray(x)
        weights, means = mixture.weights.detach().numpy(), mixture.means.detach().numpy()
        covariances = mixture.covariances.detach().numpy()
        result = np.zeros((mixture.components, len(x)))
        for i, row in enumerate(x):
            known = ~np.isnan(row)
            for k in range(mixture.components):
                result[k, i] = np.log(weights[k])
                if known.any():
                    normal = multivariate_normal(means[k][known], covariances[k][np.ix_(known, known)])
                    result[k, i] += normal.logpdf(row[known])
        return result

    return joint
