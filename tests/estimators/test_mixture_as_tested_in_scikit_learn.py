"""What scikit-learn's public tests of mixtures and factor analysis assert, in both precisions.

Left out are its tests of private functions and of array namespaces. Where logpx says more, or differs on
purpose, as the estimator's page says, the test says how.
"""

import itertools
import warnings

import numpy as np
import pytest
from sklearn import decomposition
from sklearn.datasets import make_spd_matrix
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

from logpx.errors import DataError
from logpx.estimators import FactorAnalysis, GaussianMixture, ProbabilisticPCA

KINDS = ["full", "tied", "diag", "spherical"]
DTYPES = [np.float32, np.float64]
FEATURES, COMPONENTS = 2, 2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Known:
    """Rows of a mixture whose parameters are known."""

    def __init__(self, kind, dtype=np.float64, rows=500):
        random = np.random.RandomState(0)
        self.weights = np.array([0.35, 0.65])
        self.means = random.rand(COMPONENTS, FEATURES) * 50.0
        matrices = [make_spd_matrix(FEATURES, random_state=random) for _ in range(COMPONENTS)]
        self.covariances = {
            "full": np.array(matrices),
            "tied": np.array([matrices[0]] * COMPONENTS),
            "diag": np.array([np.diag(np.diag(each)) for each in matrices]),
            "spherical": np.array([each[0, 0] * np.eye(FEATURES) for each in matrices]),
        }[kind]
        counts = np.round(self.weights * rows).astype(int)
        drawn = [
            random.multivariate_normal(mean, covariance, count)
            for mean, covariance, count in zip(self.means, self.covariances, counts, strict=True)
        ]
        self.rows = np.vstack(drawn).astype(dtype)
        self.labels = np.repeat(np.arange(COMPONENTS), counts)

    def precisions(self, kind):
        found = np.linalg.inv(self.covariances)
        return {
            "full": found,
            "tied": found[0],
            "diag": np.diagonal(found, axis1=1, axis2=2),
            "spherical": found[:, 0, 0],
        }[kind]


def test_attributes_are_the_arguments():
    given = {
        "n_components": 10,
        "tol": 1e-4,
        "reg_covar": 1e-4,
        "max_iter": 30,
        "n_init": 3,
        "covariance_type": "tied",
        "init_params": "random",
    }
    found = GaussianMixture(**given).get_params()
    assert {name: found[name] for name in given} == given


WRONG = {
    "weights_init": [np.ones((2, 1)), np.array([1.5, 1.2]), np.array([0.1, 0.2])],
    "means_init": [np.ones((3, 2)), np.full((2, 2), np.nan)],
}


@pytest.mark.parametrize(("name", "value"), [(name, each) for name, every in WRONG.items() for each in every])
def test_starts_of_the_wrong_shape_or_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        GaussianMixture(2, **{name: value}).fit(Known("full").rows)


@pytest.mark.parametrize("kind", KINDS)
def test_precisions_to_start_from_are_checked_and_kept(kind):
    known = Known(kind)
    right = known.precisions(kind)
    wrong = -right if kind in ("diag", "spherical") else right - 1e3 * np.eye(FEATURES)
    for value in (np.ones(3 + np.arange(right.ndim)), wrong):
        with pytest.raises(ValueError, match="precisions_init"):
            GaussianMixture(2, covariance_type=kind, precisions_init=value).fit(known.rows)
    before = right.copy()
    mixture = GaussianMixture(2, covariance_type=kind, precisions_init=right, random_state=0).fit(known.rows)
    assert mixture.precisions_init is right
    np.testing.assert_array_equal(right, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_finds_the_parameters(kind, dtype):
    known = Known(kind, dtype)
    mixture = GaussianMixture(
        2, n_init=5, reg_covar=0.0, covariance_type=kind, random_state=0, max_iter=200
    ).fit(known.rows)
    order = np.argsort(mixture.weights_)
    np.testing.assert_allclose(mixture.weights_[order], known.weights, rtol=0.1)
    np.testing.assert_allclose(mixture.means_[order], known.means, rtol=0.05, atol=0.3)
    covariances = {
        "full": lambda c: c[order],
        "tied": lambda c: np.array([c, c]),
        "diag": lambda c: np.array([np.diag(each) for each in c[order]]),
        "spherical": lambda c: np.array([each * np.eye(FEATURES) for each in c[order]]),
    }[kind](mixture.covariances_)
    np.testing.assert_allclose(covariances, known.covariances, rtol=0.25, atol=0.1)
    assert adjusted_rand_score(mixture.predict(known.rows), known.labels) > 0.95
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(mixture, name).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_covariances_and_precisions_are_inverse(kind, dtype):
    known = Known(kind, dtype)
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0, n_init=5).fit(known.rows)
    if kind in ("diag", "spherical"):
        np.testing.assert_allclose(mixture.covariances_ * mixture.precisions_, 1.0, rtol=1e-4)
        return
    product = mixture.covariances_ @ mixture.precisions_
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(FEATURES), product.shape), atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("seed", "most", "tol"), [(0, 2, 1e-7), (1, 2, 1e-1), (3, 300, 1e-7), (4, 300, 1e-1)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_fitting_and_predicting_at_once_is_the_same(kind, seed, most, tol, dtype):
    rows = Known(kind, dtype).rows
    options = {"max_iter": most, "tol": tol, "covariance_type": kind, "random_state": seed}
    labels = GaussianMixture(2, **options).fit(rows).predict(rows)
    np.testing.assert_array_equal(GaussianMixture(2, **options).fit_predict(rows), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_the_most_probable_component_is_predicted(kind):
    known = Known(kind)
    mixture = GaussianMixture(
        2,
        weights_init=known.weights,
        means_init=known.means,
        precisions_init=known.precisions(kind),
        covariance_type=kind,
        max_iter=0,
    )
    for method in (mixture.predict, mixture.predict_proba, mixture.score, mixture.score_samples):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            method(known.rows)
    mixture.fit(known.rows)
    shares = mixture.predict_proba(known.rows)
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(shares.argmax(1), mixture.predict(known.rows))
    assert adjusted_rand_score(mixture.predict(known.rows), known.labels) > 0.95


def test_more_starts_are_no_worse():
    rows = np.random.RandomState(0).randn(50, 5)
    for kind in KINDS:
        options = {"covariance_type": kind, "random_state": 0, "max_iter": 2}
        one = GaussianMixture(2, n_init=1, **options).fit(rows).score(rows)
        assert GaussianMixture(2, n_init=5, **options).fit(rows).score(rows) >= one


def test_a_fit_without_convergence_warns():
    for kind in KINDS:
        with pytest.warns(ConvergenceWarning, match="did not converge"):
            GaussianMixture(2, max_iter=1, tol=0.0, covariance_type=kind).fit(Known(kind).rows)


@pytest.mark.parametrize(("kind", "number"), [("spherical", 13), ("diag", 21), ("tied", 26), ("full", 41)])
def test_criteria_count_the_free_parameters(kind, number):
    rows = np.random.RandomState(0).randn(50, 5)
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0).fit(rows)
    fit = -2.0 * mixture.score_samples(rows).sum()
    assert mixture.aic(rows) - fit == pytest.approx(2.0 * number)
    assert mixture.bic(rows) - fit == pytest.approx(number * np.log(50))


def test_all_kinds_are_one_for_one_column():
    rows = np.random.RandomState(0).randn(100, 1)
    found = [GaussianMixture(1, covariance_type=kind).fit(rows).bic(rows) for kind in KINDS]
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_warm_start_goes_on_where_the_last_fit_ended(seed):
    rows = np.random.RandomState(seed).rand(500, 2)
    options = {"n_init": 1, "reg_covar": 0.0, "random_state": seed, "tol": 0.0}
    at_once = GaussianMixture(2, max_iter=2, **options).fit(rows)
    in_steps = GaussianMixture(2, max_iter=1, warm_start=True, **options).fit(rows).fit(rows)
    assert in_steps.score(rows) == pytest.approx(at_once.score(rows), rel=1e-9)
    np.testing.assert_allclose(in_steps.means_, at_once.means_, rtol=1e-7)


def test_a_warm_start_converges_as_a_long_fit_does():
    rows = Known("full").rows
    for most in (1, 2, 50):
        mixture = GaussianMixture(2, warm_start=True, max_iter=most, random_state=0)
        for _ in range(100):
            mixture.fit(rows)
            if mixture.converged_:
                break
        assert mixture.converged_
        assert mixture.n_iter_ <= most


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_are_means_in_the_precision_of_the_rows(dtype):
    known = Known("full", dtype)
    options = {"reg_covar": 0.0, "random_state": 1, "init_params": "random_from_data"}
    short = GaussianMixture(2, max_iter=1, **options).fit(known.rows)
    scores = short.score_samples(known.rows)
    assert scores.dtype == dtype
    # The mean itself is taken in double precision.
    assert short.score(known.rows) == pytest.approx(scores.astype(np.float64).mean(), rel=1e-6)
    long = GaussianMixture(2, tol=1e-9, **options).fit(known.rows)
    assert long.score(known.rows) > short.score(known.rows)


@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_never_falls(kind):
    mixture = GaussianMixture(
        2, covariance_type=kind, reg_covar=0.0, warm_start=True, max_iter=1, random_state=0, tol=1e-7
    )
    last = -np.inf
    for _ in range(100):
        score = mixture.fit(Known(kind).rows).score(Known(kind).rows)
        assert score >= last - 1e-12
        last = score
        if mixture.converged_:
            break
    assert mixture.converged_


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_all_equal_need_a_least_variance(kind):
    rows = np.vstack([np.ones((5, 5)), np.zeros((5, 5))])
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        GaussianMixture(2, reg_covar=0.0, covariance_type=kind, random_state=0).fit(rows)
    assert GaussianMixture(2, covariance_type=kind, random_state=0).fit(rows).score(rows) > 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_mixture(kind):
    known = Known(kind)
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        mixture.sample(0)
    mixture.fit(known.rows)
    with pytest.raises(ValueError, match="n_samples"):
        mixture.sample(0)
    x, y = mixture.sample(20_000)
    assert x.shape == (20_000, FEATURES)
    assert y.shape == (20_000,)
    covariances = {
        "full": lambda c: c,
        "tied": lambda c: [c, c],
        "diag": lambda c: [np.diag(each) for each in c],
        "spherical": lambda c: [each * np.eye(FEATURES) for each in c],
    }[kind](mixture.covariances_)
    for component in range(COMPONENTS):
        own = x[y == component]
        np.testing.assert_allclose(own.mean(0), mixture.means_[component], atol=0.1)
        np.testing.assert_allclose(np.cov(own.T), covariances[component], rtol=0.15, atol=0.05)
    for number in (1, 2, 5):
        assert GaussianMixture(2, random_state=0).fit(known.rows).sample(number)[0].shape == (
            number,
            FEATURES,
        )


@pytest.mark.parametrize("start", ["random", "random_from_data", "k-means++", "kmeans"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_start_has_other_means_for_every_component(start, dtype):
    rows = Known("full", dtype).rows
    mixture = GaussianMixture(5, init_params=start, random_state=0, max_iter=0).fit(rows)
    assert mixture.means_.shape == (5, FEATURES)
    assert mixture.means_.dtype == dtype
    for one, other in itertools.combinations(mixture.means_, 2):
        assert not np.allclose(one, other)


def test_no_iterations_are_the_start():
    rows = [[1.0, 1.0], [-1.0, -1.0]]
    mixture = GaussianMixture(2, max_iter=0, means_init=[[20.0, 30.0], [30.0, 25.0]], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(mixture.fit(rows).means_, [[20.0, 30.0], [30.0, 25.0]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_precisions_that_the_start_would_have_change_nothing(dtype):
    random = np.random.RandomState(0)
    stretched = random.randn(300, 2) @ np.array([[0.0, -0.7], [3.5, 0.7]])
    rows = np.vstack([random.randn(300, 2) + 20.0, stretched]).astype(dtype)
    options = {"covariance_type": "diag", "random_state": 0}
    start = GaussianMixture(2, max_iter=0, **options).fit(rows)
    given = GaussianMixture(2, precisions_init=start.precisions_, **options).fit(rows)
    plain = GaussianMixture(2, **options).fit(rows)
    assert given.n_iter_ == plain.n_iter_
    np.testing.assert_allclose(given.precisions_cholesky_, plain.precisions_cholesky_, rtol=1e-5)


def test_one_component_of_few_rows_is_stable():
    rows = np.random.RandomState(0).multivariate_normal(np.zeros(2), np.identity(2), size=10)
    assert GaussianMixture(1).fit(rows).sample()[0].shape == (1, 2)


def test_a_start_that_collapses_is_refused_and_not_returned():
    # scikit-learn returns such a mixture if the first iteration is the last; here it is an error.
    rows = np.random.RandomState(0).uniform(size=(30, 3))
    precisions = np.array([999999.99, 15.0])
    with pytest.raises(DataError, match="ill-defined"):
        GaussianMixture(
            2, covariance_type="spherical", reg_covar=0.0, means_init=rows[:2], precisions_init=precisions
        ).fit(rows)


def test_more_components_than_rows_are_refused():
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        GaussianMixture(12).fit(np.random.RandomState(0).randn(10, 5))


def test_iterations_are_counted():
    mixture = GaussianMixture(2, max_iter=4, tol=0.0, random_state=0).fit(
        np.random.RandomState(0).rand(10, 5)
    )
    assert mixture.n_iter_ == len(mixture.lower_bounds_) == 4


def test_verbose_prints_what_happens(capsys):
    rows = np.random.RandomState(0).randn(50, 5)
    for level in (1, 2):
        GaussianMixture(2, n_init=2, reg_covar=0.0, random_state=0, verbose=level).fit(rows)
    assert capsys.readouterr().out.count("Initialization converged") >= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("components", [0, 2, 5])
def test_factor_analysis_recovers_the_covariance(components, dtype):
    random = np.random.RandomState(0)
    noise = random.gamma(1, size=5) * random.randn(20, 5)
    rows = (random.randn(20, 3) @ random.randn(3, 5) + noise).astype(dtype)
    factors = FactorAnalysis(components).fit(rows)
    assert factors.transform(rows).shape == (20, components)
    assert factors.loglike_[-1] == pytest.approx(factors.score_samples(rows).sum(), rel=1e-5)
    assert (np.diff(factors.loglike_) >= 0.0).all()
    close = 1e-3 if dtype == np.float32 else 1e-9
    product = factors.get_covariance().astype(np.float64) @ factors.get_precision()
    np.testing.assert_allclose(product, np.eye(5), atol=close)
    if components:
        difference = np.abs(np.cov(rows, rowvar=False, bias=True) - factors.get_covariance())
        assert difference.sum() / 15.0 < 0.4
    with pytest.raises(ValueError, match="features"):
        factors.transform(rows[:, :2])


def test_rotations_change_scores_and_no_covariance():
    random = np.random.RandomState(0)
    rows = random.randn(20, 3) @ random.randn(3, 5) + random.randn(20, 5)
    found = {name: FactorAnalysis(2, rotation=name) for name in (None, "varimax", "quartimax")}
    scores = {name: each.fit_transform(rows) for name, each in found.items()}
    for one, other in itertools.combinations(found, 2):
        assert not np.allclose(scores[one], scores[other])
        np.testing.assert_allclose(found[one].get_covariance(), found[other].get_covariance(), atol=1e-9)
    for name, each in found.items():
        if name is not None:
            theirs = decomposition.FactorAnalysis(2, rotation=name, tol=1e-10, max_iter=20_000).fit(rows)
            ours = np.abs(each.components_)
            ours = ours[np.argsort(-(ours**2).sum(1))]
            other = np.abs(theirs.components_)
            np.testing.assert_allclose(ours, other[np.argsort(-(other**2).sum(1))], atol=0.02)


def test_the_score_of_pca_is_the_entropy_of_its_rows():
    random = np.random.RandomState(0)
    rows = random.randn(1000, 3) + np.array([3.0, 4.0, 5.0])
    # Per row, log p of standard normal rows is minus their entropy.
    expected = -0.5 * np.log(2.0 * np.pi * np.exp(1.0) * 0.1**2) * 3
    found = ProbabilisticPCA(2).fit(0.1 * rows).score(0.1 * rows)
    assert found == pytest.approx(expected, rel=0.05)
    worse = ProbabilisticPCA(2).fit(0.1 * rows).score(0.2 * rows + 5.0)
    assert found > worse
    whitened = ProbabilisticPCA(2).fit(rows)
    assert whitened.noise_variance_ == pytest.approx(np.linalg.eigvalsh(np.cov(rows.T, bias=True))[0])


def test_the_score_of_pca_chooses_the_dimension():
    random = np.random.RandomState(0)
    shared = random.randn(200, 1) * np.array([3.0, 4.0, 5.0, 3.0, 4.0, 5.0])
    rows = random.randn(200, 6) + shared + 7.0
    scores = [ProbabilisticPCA(size).fit(rows[:100]).score(rows[100:]) for size in range(6)]
    assert int(np.argmax(scores)) == 1
    assert ProbabilisticPCA("mle").fit(rows).n_components_ == 1
