"""GaussianMixture against scikit-learn's, and what goes beyond it."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn import mixture
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import logpx
from logpx.errors import DataError, UsageError
from logpx.estimators import GaussianMixture

TYPES = ["full", "tied", "diag", "spherical"]
OURS_TOO = [*TYPES, "tied_diag", "tied_spherical"]
ATTRIBUTES = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]


def clusters(rows: int = 300, seed: int = 0, apart: float = 4.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = apart * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])
    turned = random.normal(size=(3, 3))
    return centres[np.arange(rows) % 3] + random.normal(size=(rows, 3)) @ turned


def precisions(kind: str) -> np.ndarray:
    matrix = np.array([[1.0, 0.2, 0.0], [0.2, 0.5, 0.1], [0.0, 0.1, 2.0]])
    return {
        "full": np.stack([matrix, 2.0 * matrix, matrix]),
        "tied": matrix,
        "diag": np.array([[1.0, 0.5, 2.0]] * 3) * [[1.0], [2.0], [1.0]],
        "spherical": np.array([1.0, 2.0, 0.5]),
        "tied_diag": np.array([1.0, 0.5, 2.0]),
        "tied_spherical": np.array(0.7),
    }[kind]


def started(kind: str, **options) -> dict:
    means = np.array([[0.0, 0.0, 1.0], [3.0, 0.0, -3.0], [0.0, 5.0, 2.0]])
    given = {"weights_init": [0.2, 0.3, 0.5], "means_init": means, "precisions_init": precisions(kind)}
    return {"n_components": 3, "covariance_type": kind, **given, **options}


def quietly(estimator, x, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(x, **options)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("reg_covar", [0.0, 1e-12, 1e-30])
@pytest.mark.parametrize("iterations", [1, 12])
def test_equal_iterations_from_equal_starts_give_the_parameters_of_scikit_learn(kind, reg_covar, iterations):
    x = clusters(apart=1.5)
    options = started(kind, reg_covar=reg_covar, max_iter=iterations, tol=0.0)
    ours = quietly(GaussianMixture(**options), x)
    theirs = quietly(mixture.GaussianMixture(**options), x)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.score_samples(x), theirs.score_samples(x), atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-6)
    assert ours.n_iter_ == theirs.n_iter_ == iterations == len(ours.lower_bounds_)
    assert ours.bic(x) == pytest.approx(theirs.bic(x), abs=1e-4)
    assert ours.aic(x) == pytest.approx(theirs.aic(x), abs=1e-4)
    assert ours.score(x) == pytest.approx(theirs.score(x), abs=1e-6)
    # Theirs are of the parameters before each M-step; older versions do not keep them.
    theirs.lower_bounds_ = getattr(theirs, "lower_bounds_", [0.0, *ours.lower_bounds_[:-1]])
    np.testing.assert_allclose(ours.lower_bounds_[:-1], theirs.lower_bounds_[1:], atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_units_of_the_columns_do_not_matter_without_a_floor(kind):
    x, units = clusters(apart=1.5), np.array([1e6, 1e-6, 1.0]) if kind != "spherical" else np.full(3, 1e-9)
    options = {"n_components": 3, "covariance_type": kind, "random_state": 0, "reg_covar": 0.0, "tol": 1e-5}
    options["init_params"] = "whitened_k_means"
    one, other = quietly(GaussianMixture(**options), x), quietly(GaussianMixture(**options), x * units)
    expected = one.score_samples(x) - np.log(units).sum()
    np.testing.assert_allclose(other.score_samples(x * units), expected, atol=1e-5)


@pytest.mark.parametrize("kind", TYPES)
def test_defaults_find_what_scikit_learn_finds(kind):
    x = clusters()
    options = {"n_components": 3, "covariance_type": kind, "random_state": 0, "tol": 1e-6, "max_iter": 500}
    ours, theirs = GaussianMixture(**options).fit(x), mixture.GaussianMixture(**options).fit(x)
    assert ours.score(x) == pytest.approx(theirs.score(x), abs=1e-4)
    for name in ATTRIBUTES:
        assert getattr(ours, name).shape == getattr(theirs, name).shape
        assert getattr(ours, name).dtype == np.float64
    assert ours.predict(x).dtype == theirs.predict(x).dtype


def test_parameters_have_the_names_and_defaults_of_scikit_learn():
    theirs = mixture.GaussianMixture().get_params()
    assert {name: value for name, value in GaussianMixture().get_params().items() if name in theirs} == theirs


@pytest.mark.parametrize("kind", OURS_TOO)
def test_attributes_agree_with_each_other_and_with_scipy(kind):
    x = clusters()
    fitted = quietly(GaussianMixture(**started(kind, max_iter=5)), x)
    matrices = fitted.model_.covariances.numpy(force=True)
    density = sum(
        weight * multivariate_normal(mean, covariance).pdf(x)
        for weight, mean, covariance in zip(fitted.weights_, fitted.means_, matrices, strict=True)
    )
    np.testing.assert_allclose(fitted.score_samples(x), np.log(density), atol=1e-9)
    assert fitted.precisions_.shape == fitted.covariances_.shape == precisions(kind).shape
    if kind in {"full", "tied"}:
        product = fitted.precisions_ @ fitted.covariances_
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-9)
    else:
        np.testing.assert_allclose(fitted.precisions_ * fitted.covariances_, 1.0)


@pytest.mark.parametrize("kind", OURS_TOO)
def test_no_iterations_return_the_start(kind):
    fitted = GaussianMixture(**started(kind, max_iter=0)).fit(clusters())
    np.testing.assert_allclose(fitted.precisions_, precisions(kind), atol=1e-12)
    np.testing.assert_allclose(fitted.weights_, [0.2, 0.3, 0.5])
    assert fitted.n_iter_ == 0
    assert fitted.lower_bound_ == pytest.approx(fitted.score(clusters()))


@pytest.mark.parametrize("kind", OURS_TOO)
def test_lower_bound_is_the_score_of_the_result_and_never_falls(kind):
    x = clusters(apart=1.0)
    fitted = quietly(
        GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=30, reg_covar=0.5, tol=0.0), x
    )
    assert fitted.lower_bound_ == pytest.approx(fitted.score(x), abs=1e-10)
    assert fitted.lower_bounds_[-1] == pytest.approx(fitted.lower_bound_, abs=1e-12)
    assert np.diff(fitted.lower_bounds_).min() > -1e-10


@pytest.mark.parametrize("kind", OURS_TOO)
def test_reg_covar_is_the_least_variance_in_any_direction(kind):
    x = clusters() * [1.0, 1e-3, 1e3]
    fitted = quietly(GaussianMixture(2, covariance_type=kind, random_state=0, reg_covar=0.01), x)
    least = np.linalg.eigvalsh(fitted.model_.covariances.numpy(force=True)).min()
    assert least >= 0.01 * (1.0 - 1e-6)
    if "spherical" not in kind:
        assert least == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("kind", OURS_TOO)
def test_integer_weights_are_repetitions(kind):
    x = clusters(90)
    weights = np.random.default_rng(0).integers(0, 4, len(x))
    options = started(kind, max_iter=5, tol=0.0)
    weighted = quietly(GaussianMixture(**options), x, sample_weight=weights)
    repeated = quietly(GaussianMixture(**options), x.repeat(weights, axis=0))
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-12)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_)
    assert weighted.score(x, sample_weight=weights) == pytest.approx(weighted.lower_bound_)


def test_integer_weights_are_repetitions_in_the_prior_too():
    x = np.where(np.random.default_rng(1).random((90, 3)) < 0.2, np.nan, clusters(90))
    weights = np.random.default_rng(0).integers(0, 4, len(x))
    prior = logpx.latent.ConjugatePrior(covariance_rows=5.0, mean_rows=2.0, weight_rows=1.0)
    options = started("full", max_iter=5, tol=0.0, prior=prior)
    weighted = quietly(GaussianMixture(**options), x, sample_weight=weights)
    repeated = quietly(GaussianMixture(**options), x.repeat(weights, axis=0))
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_)
    np.testing.assert_allclose(weighted.means_, repeated.means_)


@pytest.mark.parametrize("kind", OURS_TOO)
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data", "whitened_k_means"])
def test_rows_with_missing_cells(kind, init):
    x = clusters(240) + 100.0
    holes = np.random.default_rng(1).random(x.shape) < 0.15
    holes[0] = True
    with_holes = np.where(holes, np.nan, x)
    estimator = GaussianMixture(
        3, covariance_type=kind, init_params=init, n_init=2, random_state=0, max_iter=300
    )
    fitted = quietly(estimator, with_holes)
    assert fitted.score_samples(with_holes)[0] == 0.0
    np.testing.assert_allclose(fitted.predict_proba(with_holes)[0], fitted.weights_)
    filled = fitted.impute(with_holes)
    np.testing.assert_array_equal(filled[~holes], x[~holes])
    error = np.square(filled - x)[holes].mean()
    assert error < np.square(x - np.nanmean(with_holes, axis=0))[holes].mean()
    some = ~holes.all(1)
    assert fitted.lower_bound_ == pytest.approx(fitted.score(with_holes[some]))


def test_missing_cells_can_be_refused():
    x = clusters()
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        GaussianMixture(allow_nan=False).fit(x)
    x[:, 1] = np.nan
    with pytest.raises(ValueError, match="every cell is missing"):
        GaussianMixture().fit(x)


def test_columns_have_names():
    frame = pd.DataFrame(clusters(), columns=["a", "b", "c"])
    fitted = GaussianMixture(random_state=0).fit(frame)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["c", "b", "a"]])


def test_samples_have_the_moments_of_the_mixture():
    fitted = GaussianMixture(3, random_state=0).fit(clusters())
    x, labels = fitted.sample(20_000)
    again, _ = fitted.sample(20_000)
    np.testing.assert_array_equal(x, again)
    assert np.diff(labels).min() < 0
    for component in range(3):
        rows = x[labels == component]
        np.testing.assert_allclose(rows.mean(0), fitted.means_[component], atol=0.15)
        np.testing.assert_allclose(np.cov(rows.T), fitted.covariances_[component], atol=0.3)
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)


def test_icl_is_bic_plus_twice_the_entropy():
    x = clusters(apart=1.0)
    fitted = quietly(GaussianMixture(3, random_state=0), x)
    shares = fitted.predict_proba(x)
    entropy = -sum(share * math.log(share) for share in shares.flat if share > 0.0)
    assert fitted.icl(x) == pytest.approx(fitted.bic(x) + 2.0 * entropy)


def test_collapsed_start_is_kept_only_if_all_are():
    random = np.random.default_rng(0)
    pair = 50.0 + 1e-5 * random.normal(size=(2, 2))
    x = np.concatenate([random.normal(size=(100, 2)), random.normal(size=(100, 2)) + 4.0, pair])
    options = {"n_components": 3, "init_params": "random_from_data", "reg_covar": 1e-8}
    single = quietly(GaussianMixture(**options, random_state=0), x)
    best = quietly(GaussianMixture(**options, random_state=0, n_init=20), x)
    assert single.weights_.min() * len(x) == pytest.approx(2.0, abs=0.01)
    assert best.weights_.min() * len(x) > 5.0
    assert best.lower_bound_ < single.lower_bound_


def test_constant_column_is_fitted_as_scikit_learn_does():
    x = np.column_stack([clusters(), np.full(300, 7.0)])
    fitted = GaussianMixture(3, random_state=0).fit(x)
    np.testing.assert_allclose(fitted.covariances_[:, 3, 3], 1e-6)
    # Without a floor neither fits it.
    with pytest.raises(ValueError, match="ill-defined"):
        mixture.GaussianMixture(covariance_type="diag", reg_covar=0.0).fit(x)
    with pytest.raises(DataError, match="ill-defined"):
        GaussianMixture(covariance_type="diag", reg_covar=0.0).fit(x)


def test_warm_start_goes_on():
    x = clusters(apart=1.0)
    whole = quietly(GaussianMixture(3, random_state=0, max_iter=8, tol=0.0), x)
    parts = GaussianMixture(3, random_state=0, max_iter=4, tol=0.0, warm_start=True)
    quietly(parts, x)
    quietly(parts, x)
    np.testing.assert_allclose(parts.means_, whole.means_)
    with pytest.raises(ValueError, match="warm_start"):
        parts.set_params(n_components=2).fit(x)


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    own, numpys = {"n_components": 2, "n_init": 2, "max_iter": 7, "verbose_interval": 3}, {}
    for name, value in own.items():
        numpys[name] = np.int64(value)
    x = clusters(60)
    one, other = (GaussianMixture(random_state=0, tol=0.0, **each) for each in (own, numpys))
    with pytest.warns(ConvergenceWarning):
        np.testing.assert_array_equal(one.fit(x).means_, other.fit(x).means_)
    logpx.save(other.model_, tmp_path / "model")
    assert torch.equal(logpx.load(tmp_path / "model").means, other.model_.means)


def test_too_few_iterations_are_a_warning():
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        GaussianMixture(3, random_state=0, max_iter=1).fit(clusters(apart=1.0))


def test_prior_keeps_covariances_from_collapsing():
    x = clusters()
    prior = logpx.latent.ConjugatePrior(covariance_rows=50.0, covariance=np.eye(3).tolist())
    fitted = GaussianMixture(prior=prior, reg_covar=0.0).fit(x)
    expected = (len(x) * np.cov(x.T, bias=True) + 50.0 * np.eye(3)) / (len(x) + 50.0)
    np.testing.assert_allclose(fitted.covariances_[0], expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_components": 0},
        {"covariance_type": "fulll"},
        {"tol": -1.0},
        {"reg_covar": math.nan},
        {"max_iter": -1},
        {"n_init": 0},
        {"init_params": "kmean"},
        {"n_components": 1000},
        {"weights_init": [0.5, 0.6]},
        {"n_components": 2, "weights_init": [0.5, 0.6]},
        {"means_init": [[0.0, 0.0]]},
        {"precisions_init": np.zeros((1, 3, 3))},
        {"precisions_init": [[[1.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]},
        {"covariance_type": "diag", "precisions_init": [[1.0, -1.0, 1.0]]},
        {"prior": 1.0},
    ],
)
def test_what_makes_no_sense_is_refused_in_fit(wrong):
    with pytest.raises(UsageError):
        GaussianMixture(**wrong).fit(clusters())


def test_verbose_fit_prints_its_progress(capsys):
    GaussianMixture(2, random_state=0, verbose=2, verbose_interval=1).fit(clusters())
    printed = capsys.readouterr().out
    assert "Initialization 0" in printed
    assert "Iteration 1" in printed
    assert "converged" in printed


def test_clone_pickle_and_model_folder_keep_it(tmp_path):
    x = clusters()
    fitted = GaussianMixture(2, random_state=0).fit(x)
    scores = fitted.score_samples(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(x), scores)
    assert not hasattr(clone(fitted), "model_")
    logpx.save(fitted.model_, tmp_path / "mixture")
    loaded = logpx.load(tmp_path / "mixture")
    again = loaded.log_prob(torch.tensor(x))
    np.testing.assert_allclose(again.numpy(force=True), scores)


def test_grid_search_in_a_pipeline_finds_the_number_of_components():
    x = np.random.default_rng(0).permutation(clusters(apart=8.0))
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 3]}, cv=3).fit(x)
    assert search.best_params_ == {"gaussianmixture__n_components": 3}


def degenerate():
    """Yield rows on points, lines or planes, and how many components to fit to them."""
    random = np.random.default_rng(0)
    yield np.repeat([[0.0], [1.0]], 5, axis=0), 2
    yield np.column_stack([random.normal(size=30), np.zeros(30)]), 1
    yield np.outer(random.normal(size=40), [1.0, 2.0, 3.0]), 2
    yield np.concatenate([np.zeros((5, 2)), random.normal(size=(30, 2)) + 5.0]), 2
    yield random.normal(size=(50, 2)), 2


@pytest.mark.parametrize("kind", TYPES)
def test_without_a_floor_singular_covariances_are_refused_where_scikit_learn_refuses_them(kind):
    for rows, components in degenerate():
        options = {"n_components": components, "covariance_type": kind, "random_state": 0}
        try:
            mixture.GaussianMixture(reg_covar=0, **options).fit(rows)
            # Rounding errors let it pass two points with a variance of 2e-16.
            refused = kind == "tied" and len(rows) == 10
        except ValueError:
            refused = True
        if refused:
            with pytest.raises(ValueError, match="ill-defined empirical covariance"):
                GaussianMixture(reg_covar=0, **options).fit(rows)
        else:
            GaussianMixture(reg_covar=0, **options).fit(rows)
        found = GaussianMixture(**options).fit(rows).covariances_
        smallest = np.linalg.eigvalsh(found).min() if kind in ("full", "tied") else found.min()
        assert smallest > 0.0
