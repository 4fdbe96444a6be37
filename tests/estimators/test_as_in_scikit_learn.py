"""Sizes, precisions and rotations with the meanings that scikit-learn gives them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from logpx.errors import UsageError
from logpx.estimators import FactorAnalysis, GaussianMixture, ProbabilisticPCA

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 3)) @ RANDOM.normal(size=(3, 6)) + 0.3 * RANDOM.normal(size=(300, 6))


@pytest.mark.parametrize("size", [0, 1, 3, 5, 6, "mle", 0.5, 0.9, 0.99])
def test_sizes_of_pca_mean_what_they_do_there(size):
    ours, theirs = ProbabilisticPCA(size).fit(X), PCA(size, svd_solver="full").fit(X)
    assert ours.n_components_ == theirs.n_components_
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, atol=1e-10)
    # There n - 1 divides.
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_ * 299 / 300, rtol=1e-10)
    assert ours.transform(X).shape == theirs.transform(X).shape
    assert ours.components_.shape == theirs.components_.shape
    assert ours.score(X) >= theirs.score(X) - 1e-9
    back = ours.inverse_transform(ours.transform(X))
    assert back.shape == X.shape


def test_all_dimensions_are_the_normal_distribution_of_the_sample():
    covariance = np.cov(X.T, bias=True)
    np.testing.assert_allclose(ProbabilisticPCA(6).fit(X).get_covariance(), covariance, atol=1e-8)
    noise = ProbabilisticPCA(0).fit(X)
    np.testing.assert_allclose(noise.get_covariance(), np.eye(6) * np.trace(covariance) / 6, atol=1e-8)


@pytest.mark.parametrize("size", [-1, 7, 1.5, "ml"])
def test_sizes_that_mean_nothing_are_refused(size):
    with pytest.raises(UsageError, match="n_components"):
        ProbabilisticPCA(size).fit(X)
    with pytest.raises(UsageError, match="weighted"):
        ProbabilisticPCA("mle").fit(X, sample_weight=np.ones(300))


def test_a_share_of_weighted_rows_is_that_of_repeated_ones():
    weights = RANDOM.integers(0, 4, 300)
    one = ProbabilisticPCA(0.8).fit(X, sample_weight=weights)
    other = ProbabilisticPCA(0.8).fit(np.repeat(X, weights, axis=0))
    assert one.n_components_ == other.n_components_


def test_varimax_changes_no_density_and_makes_loadings_simple():
    plain, turned = FactorAnalysis(3).fit(X), FactorAnalysis(3, rotation="varimax").fit(X)
    np.testing.assert_allclose(turned.score_samples(X), plain.score_samples(X))
    np.testing.assert_allclose(
        turned.components_.T @ turned.components_, plain.components_.T @ plain.components_, atol=1e-8
    )
    simplicity = [np.var(each.components_**2, axis=1).sum() for each in (plain, turned)]
    assert simplicity[1] > simplicity[0]
    np.testing.assert_allclose(
        turned.inverse_transform(turned.transform(X)), plain.inverse_transform(plain.transform(X)), atol=1e-8
    )
    assert plain.loglike_ == pytest.approx([plain.score_samples(X).sum()])
    with pytest.raises(UsageError, match="rotation is 'oblimin'"):
        FactorAnalysis(2, rotation="oblimin").fit(X)


@pytest.mark.parametrize(
    "estimator", [GaussianMixture(2, random_state=0), ProbabilisticPCA(2), FactorAnalysis(2)], ids=repr
)
def test_single_precision_in_single_precision_out(estimator):
    single = X.astype(np.float32)
    precise = estimator.fit(X).score_samples(X)
    estimator.fit(single)
    for rows in (single, torch.from_numpy(single), pd.DataFrame(single)):
        found = estimator.score_samples(rows)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, precise, rtol=1e-2, atol=1e-2)
    assert estimator.score_samples(single.astype(np.float64)).dtype == np.float64
    fitted = [value for name, value in vars(estimator).items() if name.endswith("_")]
    assert {value.dtype for value in fitted if isinstance(value, np.ndarray)} <= {
        np.dtype("float32"),
        np.dtype("int64"),
    }
    assert next(estimator.model_.parameters()).dtype == torch.float64
    for name in ("transform", "predict_proba"):
        if hasattr(estimator, name):
            assert getattr(estimator, name)(single).dtype == np.float32
