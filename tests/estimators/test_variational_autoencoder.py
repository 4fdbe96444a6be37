"""VariationalAutoencoder: bounds in the units of the data, latent vectors and back, what it refuses."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import logpx
from logpx.estimators import FactorAnalysis, VariationalAutoencoder

BRIEF = {"hidden": (8,), "max_epochs": 5, "random_state": 0}


def rows(count: int = 600, offset: float = 1e7) -> np.ndarray:
    """One factor and noise, in columns of unequal units."""
    random = np.random.default_rng(0)
    factor = random.normal(size=(count, 1))
    x = factor * [1.0, -1.0, 1.0, 0.5] + 0.3 * random.normal(size=(count, 4))
    return x * [3.0, 1.0, 1e-3, 1.0] + [offset, -5.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def trained() -> VariationalAutoencoder:
    return VariationalAutoencoder(n_components=1, hidden=(32,), max_epochs=80, random_state=0).fit(rows())


@pytest.mark.slow
def test_score_is_a_bound_near_that_of_factor_analysis(trained: VariationalAutoencoder):
    # With one linear factor the truth is a factor analysis, at whose maximum no bound is higher in sample.
    x = rows()
    exact = FactorAnalysis(n_components=1).fit(x).score(x)
    assert exact - 0.15 < trained.score(x) < exact + 0.02
    assert trained.score(x) == pytest.approx(trained.score_samples(x).mean())
    assert trained.model_.kind == "lower bound"


def test_scores_come_near_to_log_p_by_quadrature(trained: VariationalAutoencoder):
    x = rows()[:100]
    own = clone(trained).set_params(n_draws=4000)
    own.__dict__.update(model_=trained.model_, n_features_in_=4)
    z = np.linspace(-8.0, 8.0, 8001)
    means = trained.inverse_transform(z[:, None])
    scale = trained.model_.likelihood(torch.zeros(1, 1).double()).base.scale.numpy(force=True)
    joint = norm.logpdf(z)[:, None] + norm.logpdf(x, means[:, None], scale).sum(-1)
    exact = logsumexp(joint, 0) + np.log(z[1] - z[0])
    np.testing.assert_allclose(own.score_samples(x), exact, atol=0.1)
    assert own.score(x) == pytest.approx(exact.mean(), abs=0.01)
    own.n_draws = 1
    assert own.score(x) < exact.mean()


def test_the_score_of_a_row_does_not_depend_on_the_others(trained: VariationalAutoencoder):
    x = rows()
    scores = trained.score_samples(x)
    np.testing.assert_allclose(trained.score_samples(x[::-1])[::-1], scores, rtol=1e-9)
    np.testing.assert_allclose(trained.score_samples(x[7:8]), scores[7:8], rtol=1e-9)


def test_far_from_zero_it_learns_what_it_learns_at_zero():
    far, near = (VariationalAutoencoder(**BRIEF).fit(rows(offset=offset)) for offset in (1e7, 0.0))
    np.testing.assert_allclose(
        far.score_samples(rows()), near.score_samples(rows(offset=0.0)), rtol=0, atol=1e-3
    )
    small = VariationalAutoencoder(**BRIEF).fit(rows(offset=0.0) * 1e-6)
    expected = near.score_samples(rows(offset=0.0)) - 4 * np.log(1e-6)
    np.testing.assert_allclose(small.score_samples(rows(offset=0.0) * 1e-6), expected, atol=1e-3)


def test_latent_vectors_and_back(trained: VariationalAutoencoder):
    x = rows()
    z = trained.transform(x)
    assert z.shape == (600, 1)
    back = trained.inverse_transform(z)
    assert back.shape == x.shape
    # The noise of a column is 0.3 of its factor's unit.
    assert (np.sqrt(np.square(back - x).mean(0)) < np.array([3.0, 1.0, 1e-3, 1.0]) * 0.36).all()
    with pytest.raises(ValueError, match="latent vectors of 2 columns"):
        trained.inverse_transform(np.zeros((3, 2)))


@pytest.mark.slow
def test_missing_cells_are_integrated_out_and_filled_in():
    x = rows(offset=0.0)
    holes = np.where(np.random.default_rng(1).random(x.shape) < 0.1, np.nan, x)
    holes[0] = np.nan
    fitted = VariationalAutoencoder(n_components=1, hidden=(32,), max_epochs=60, random_state=0).fit(holes)
    scores = fitted.score_samples(holes)
    assert np.isfinite(scores).all()
    assert scores[0] == 0.0
    filled = fitted.impute(holes)
    np.testing.assert_array_equal(filled[~np.isnan(holes)], holes[~np.isnan(holes)])
    gone = np.isnan(holes)
    off = (np.where(gone, filled - x, 0.0) / x.std(0))[gone]
    assert np.sqrt(np.mean(off**2)) < 0.7
    with pytest.raises(ValueError, match="NaN"):
        VariationalAutoencoder(allow_nan=False).fit(holes)


def test_samples_depend_on_random_state(trained: VariationalAutoencoder):
    np.testing.assert_array_equal(trained.sample(5), trained.sample(5))
    assert not np.allclose(trained.sample(5), trained.sample(5, random_state=1))
    drawn = trained.sample(4000)
    x = rows()
    np.testing.assert_allclose(drawn.mean(0), x.mean(0), atol=0.15 * x.std(0).max())
    np.testing.assert_allclose(np.corrcoef(drawn.T)[0], np.corrcoef(x.T)[0], atol=0.1)


def test_names_of_columns_in_and_out():
    frame = pd.DataFrame(rows(60), columns=list("abcd"))
    fitted = VariationalAutoencoder(**BRIEF).set_output(transform="pandas").fit(frame)
    names = ["variationalautoencoder0", "variationalautoencoder1"]
    assert fitted.transform(frame).columns.tolist() == names


def test_clone_pickle_and_model_folder_keep_it(tmp_path):
    x = rows()
    fitted = VariationalAutoencoder(**BRIEF).fit(x)
    scores = fitted.score_samples(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(x), scores)
    assert not hasattr(clone(fitted), "model_")
    np.testing.assert_array_equal(clone(fitted).fit(x).score_samples(x), scores)
    logpx.save(fitted.model_, tmp_path / "vae")
    loaded = logpx.load(tmp_path / "vae").eval()
    same = fitted.model_.log_prob(torch.tensor(x))
    torch.testing.assert_close(loaded.log_prob(torch.tensor(x)), same)


def test_grid_search_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), VariationalAutoencoder(**BRIEF))
    search = GridSearchCV(pipeline, {"variationalautoencoder__n_components": [1, 2]}, cv=2).fit(rows(60))
    assert set(search.best_params_) == {"variationalautoencoder__n_components"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dtype": "float16"}, "there is no dtype"),
        ({"n_components": 0}, "n_components"),
        ({"n_draws": 0}, "n_draws"),
        ({"max_epochs": -1}, "max_epochs"),
    ],
)
def test_what_makes_no_sense_is_refused_in_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        VariationalAutoencoder(**wrong).fit(rows(60))


@pytest.mark.parametrize("always", [np.full(20, 0.1), np.full(20, np.nan)])
def test_constant_column_is_refused_by_name(always: np.ndarray):
    frame = pd.DataFrame({"a": np.arange(20.0), "always": always})
    with pytest.raises(ValueError, match="column 'always': every row has the same value"):
        VariationalAutoencoder(**BRIEF).fit(frame)


def test_one_row_is_too_few_and_one_column_is_not():
    with pytest.raises(ValueError, match="1 sample"):
        VariationalAutoencoder(**BRIEF).fit(rows(1))
    assert VariationalAutoencoder(**BRIEF).fit(rows(60)[:, :1]).transform(rows(60)[:, :1]).shape == (60, 2)


@pytest.mark.slow
def test_a_ring_without_correlations_is_more_than_a_normal_distribution():
    def ring(count: int, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        angle = random.uniform(0.0, 2.0 * np.pi, count)
        return np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * random.normal(
            size=(count, 2)
        )

    vae = VariationalAutoencoder(random_state=0).fit(ring(300, 0))
    # The normal distribution has -2.85.
    assert vae.score(ring(2000, 1)) > -2.3
