"""Probabilistic PCA and factor analysis beside scikit-learn's PCA and FactorAnalysis."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as Reference
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from logpx.estimators import FactorAnalysis, ProbabilisticPCA

IRIS = load_iris().data
BOTH = pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])


def test_scores_are_at_least_scikit_learns():
    assert ProbabilisticPCA(2).fit(IRIS).score(IRIS) >= PCA(2).fit(IRIS).score(IRIS)
    reference = Reference(1, tol=1e-6, max_iter=10_000, svd_method="lapack").fit(IRIS)
    found = FactorAnalysis(1).fit(IRIS)
    assert found.score(IRIS) >= reference.score(IRIS) - 1e-6
    np.testing.assert_allclose(found.get_covariance(), reference.get_covariance(), atol=1e-3)
    np.testing.assert_allclose(abs(found.transform(IRIS)), abs(reference.transform(IRIS)), atol=0.02)


@BOTH
def test_faces_of_a_fitted_model(kind):
    model = kind(2, random_state=0).fit(IRIS)
    assert model.components_.shape == (2, 4)
    assert model.transform(IRIS).shape == (150, 2)
    assert model.inverse_transform(model.transform(IRIS)).shape == IRIS.shape
    np.testing.assert_allclose(model.get_precision() @ model.get_covariance(), np.eye(4), atol=1e-8)
    np.testing.assert_array_equal(model.sample(5), model.sample(5))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(IRIS), model.score_samples(IRIS))
    assert not hasattr(clone(model), "model_")


@BOTH
def test_missing_cells_names_and_frames(kind):
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    frame.iloc[::5, 1] = np.nan
    model = kind(1).set_output(transform="pandas").fit(frame)
    assert list(model.transform(frame).columns) == [f"{kind.__name__.lower()}0"]
    filled = model.impute(frame)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[1], IRIS[1])
    with pytest.raises(ValueError, match="NaN"):
        kind(1, allow_nan=False).fit(frame)


@BOTH
def test_the_number_of_components_by_bic_in_pipelines_and_searches(kind):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 2)) @ generator.normal(size=(2, 6)) + 0.3 * generator.normal(
        size=(500, 6)
    )
    assert kind().fit(x).n_components_ == 2
    search = GridSearchCV(
        make_pipeline(StandardScaler(), kind()), {f"{kind.__name__.lower()}__n_components": [1, 2]}
    )
    assert search.fit(x).best_params_ == {f"{kind.__name__.lower()}__n_components": 2}


@BOTH
def test_weights_are_repetitions(kind):
    times = np.random.default_rng(0).integers(0, 3, 150)
    weighted, repeated = kind(1).fit(IRIS, sample_weight=times), kind(1).fit(IRIS.repeat(times, 0))
    np.testing.assert_allclose(weighted.get_covariance(), repeated.get_covariance(), atol=1e-7)


@BOTH
def test_nonsense_is_refused(kind):
    for size in (-1, 5, 1.5):
        with pytest.raises(ValueError, match="n_components"):
            kind(size).fit(IRIS)
    with pytest.raises(ValueError, match="n_features = 1"):
        kind().fit(IRIS[:, :1])


@pytest.mark.parametrize("kind", [FactorAnalysis, ProbabilisticPCA])
def test_a_column_that_never_varies_is_fitted_as_scikit_learn_does(kind):
    x = np.random.default_rng(0).normal(size=(80, 2)) @ np.random.default_rng(1).normal(size=(2, 4))
    x += np.random.default_rng(2).normal(size=x.shape)
    constant = np.column_stack([x, np.full(80, 3.0)])
    model = kind(n_components=1).fit(constant)
    assert np.isfinite(model.score_samples(constant)).all()
    np.testing.assert_allclose(model.get_covariance()[4, :4], 0.0, atol=1e-9)
    if kind is FactorAnalysis:
        alone = FactorAnalysis(n_components=1).fit(x).get_covariance()
        np.testing.assert_allclose(model.get_covariance()[:4, :4], alone, atol=1e-4)
    else:
        assert model.noise_variance_ == pytest.approx(
            np.linalg.eigvalsh(np.cov(constant.T, bias=True))[:-1].mean()
        )
    assert kind().fit(constant).n_components_ >= 1
