"""Minka's evidence against scikit-learn's, which picks the number of components with it."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.decomposition._pca import _assess_dimension

from logpx.errors import UsageError
from logpx.latent import principal_log_evidence


@pytest.mark.parametrize("seed", range(3))
def test_evidence_is_scikit_learns(seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(200, 3)) @ generator.normal(size=(3, 8)) + 0.5 * generator.normal(
        size=(200, 8)
    )
    values = np.linalg.eigvalsh(np.cov(x.T, ddof=0))[::-1].copy()
    found = [principal_log_evidence(torch.from_numpy(values), latent, 200) for latent in range(1, 8)]
    expected = [_assess_dimension(values, latent, 200) for latent in range(1, 8)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert 1 + int(np.argmax(found)) == PCA("mle", svd_solver="full").fit(x).n_components_ == 3


def test_nonsense_is_refused():
    for latent in (0, 3):
        with pytest.raises(UsageError):
            principal_log_evidence(torch.ones(3), latent, 10)
