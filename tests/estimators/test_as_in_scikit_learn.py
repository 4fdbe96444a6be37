"""Sizes, precisions and rotations with the meanings that scikit-learn gives them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from logpx.errors import UsageError
from logpx.estimators import (
    AnomalyDetector,
    FactorAnalysis,
    FlowDensity,
    GaussianMixture,
    ProbabilisticPCA,
    VariationalAutoencoder,
)

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


@pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])
def test_parts_fit_what_all_rows_do(kind):
    weights = RANDOM.uniform(0.0, 2.0, 300)
    parts = kind(2).partial_fit(X[:40], sample_weight=weights[:40])
    for start in (40, 100, 101):
        rows = slice(start, {40: 100, 100: 101, 101: 300}[start])
        parts.partial_fit(X[rows], sample_weight=weights[rows])
    whole = kind(2).fit(X, sample_weight=weights)
    np.testing.assert_allclose(parts.get_covariance(), whole.get_covariance(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(parts.mean_, whole.mean_)
    holes = X[:20].copy()
    holes[3, 1] = np.nan
    with pytest.raises(UsageError, match="missing cells"):
        parts.partial_fit(holes)
    with pytest.raises(UsageError, match="missing cells"):
        kind(2).fit(holes).partial_fit(X)
    with pytest.raises(ValueError, match="features"):
        parts.partial_fit(X[:, :4])


def test_a_mixture_in_parts_takes_steps_of_em_with_kept_statistics():
    mixture = GaussianMixture(2, random_state=0).partial_fit(X[:150])
    model = GaussianMixture(2, random_state=0).fit(X[:150]).model_
    kept = model.statistics(torch.tensor(X[:150])) + model.statistics(torch.tensor(X[150:]))
    model.update(kept)
    before = mixture.score(X[150:])
    mixture.partial_fit(X[150:])
    np.testing.assert_allclose(mixture.means_, model.means.detach().numpy(), rtol=1e-9)
    np.testing.assert_allclose(mixture.covariances_, model.covariances.detach().numpy(), rtol=1e-9)
    assert mixture.lower_bound_ == pytest.approx(before)
    assert mixture.score(X) > GaussianMixture(2, random_state=0).fit(X[:150]).score(X)


def test_tolerance_and_iterations_are_those_of_em_for_missing_cells():
    holes = np.where(RANDOM.random(X.shape) < 0.1, np.nan, X)
    short, long = FactorAnalysis(2, max_iter=2).fit(holes), FactorAnalysis(2, tol=1e-4).fit(holes)
    assert short.score(holes) < long.score(holes)
    assert short.n_iter_ <= 2 < long.n_iter_
    assert FactorAnalysis(2).fit(X).n_iter_ == 1
    for given in ({"tol": 0.0}, {"max_iter": 0}):
        with pytest.raises(UsageError, match=next(iter(given))):
            FactorAnalysis(2, **given).fit(X)


TRAINED = [
    FlowDensity(layers=1, hidden=(4,), max_epochs=1, random_state=0),
    VariationalAutoencoder(1, hidden=(4,), max_epochs=1, random_state=0),
]


@pytest.mark.parametrize("estimator", TRAINED, ids=lambda estimator: type(estimator).__name__)
def test_rows_of_weight_zero_do_not_count_and_others_count_as_they_weigh(estimator):
    far = np.concatenate([X, X + 100.0])
    weights = np.repeat([1.0, 0.0], 300)
    found = estimator.fit(far, sample_weight=weights).score_samples(X[:5])
    np.testing.assert_array_equal(found, estimator.fit(X).score_samples(X[:5]))
    centres = []
    for share in (1.0, 9.0):
        drawn = estimator.fit(far, sample_weight=np.repeat([1.0, share], 300)).sample(400, random_state=0)
        centres.append(drawn.mean())
    assert centres[1] > centres[0] + 10.0


@pytest.mark.parametrize(
    "estimator", [*TRAINED, AnomalyDetector(members=3, random_state=0)], ids=lambda each: type(each).__name__
)
def test_single_precision_of_what_is_trained(estimator):
    single = X[:100].astype(np.float32)
    estimator.fit(single)
    assert estimator.score_samples(single).dtype == np.float32
    assert estimator.score_samples(X[:5]).dtype == np.float64
    for name in ("transform", "decision_function"):
        if hasattr(estimator, name):
            assert getattr(estimator, name)(torch.from_numpy(single)).dtype == np.float32
    if hasattr(estimator, "sample"):
        assert estimator.sample(3).dtype == np.float32
        assert estimator.fit(X[:100]).sample(3).dtype == np.float64
