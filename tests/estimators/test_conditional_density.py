"""The distribution of y given X."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from logpx.estimators import ConditionalDensity


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(400, 2))
    return X, X @ [1.0, -0.5] + 0.5 * generator.normal(size=400)


@pytest.fixture(scope="module")
def density(rows) -> ConditionalDensity:
    return ConditionalDensity("gaussian", random_state=0).fit(*rows)


def test_numbers_have_the_normal_distribution_that_least_squares_finds(density, rows):
    X, y = rows
    design = np.column_stack([np.ones(400), X])
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    middle = design @ weights
    width = (y - middle).std()
    assert density.kind_ == "exact"
    np.testing.assert_allclose(density.predict(X), middle, atol=1e-3)
    np.testing.assert_allclose(density.score_samples(X, y), norm(middle, width).logpdf(y), atol=1e-2)
    quantiles = density.predict_quantiles(X, [0.05, 0.5])
    np.testing.assert_allclose(quantiles, norm.ppf([[0.05, 0.5]], middle[:, None], width), atol=3e-3)
    assert density.score(X, y) == pytest.approx(density.score_samples(X, y).mean())
    z = (y - middle) / width
    crps = width * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - np.pi**-0.5)
    np.testing.assert_allclose(density.crps_samples(X, y), crps, atol=2e-3)
    assert density.crps(X, y) == pytest.approx(crps.mean(), abs=1e-3)


def test_draws_repeat_by_their_random_state(density, rows):
    X = rows[0][:5]
    drawn = density.sample(X, 300, random_state=3)
    assert drawn.shape == (5, 300)
    np.testing.assert_array_equal(drawn, density.sample(X, 300, random_state=3))
    np.testing.assert_allclose(drawn.mean(1), density.predict(X), atol=0.15)


def test_a_missing_cell_of_x_is_integrated_out(density):
    whole, none = density.predict_quantiles([[0.0, 0.0], [0.0, np.nan]], [0.05, 0.95])
    assert none[1] - none[0] > whole[1] - whole[0]


@pytest.mark.parametrize(
    "labels",
    [np.array(["b", "a"]), np.array([True, False]), np.array([3, 1]), np.array([2.5, 1.0])],
    ids=str,
)
def test_labels_come_back_as_they_were(rows, labels):
    X, y = rows
    own = labels[(y > 0.0).astype(int)]
    options = {"labels": None if own.dtype.kind in "Ub" else True}
    density = ConditionalDensity("gaussian", random_state=0, **options).fit(X, own)
    np.testing.assert_array_equal(density.classes_, np.unique(labels))
    found = density.predict(X)
    assert found.dtype == own.dtype
    probabilities = density.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    np.testing.assert_array_equal(found, density.classes_[probabilities.argmax(1)])
    chosen = probabilities[np.arange(400), np.searchsorted(density.classes_, own)]
    np.testing.assert_allclose(density.score_samples(X, own), np.log(chosen), rtol=1e-9)
    assert set(np.unique(density.sample(X[:3], 5))) <= set(labels)
    with pytest.raises(ValueError, match="no order"):
        density.predict_quantiles(X)


def test_frames_with_labels_and_holes_and_several_targets(rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(c=np.where(X[:, 0] > 0, "u", None))
    targets = pd.DataFrame({"y": y, "side": np.where(y > 0, "right", "left")})
    density = ConditionalDensity("gmm", components=2, random_state=0).fit(frame, targets)
    assert density.predict(frame[:3]).shape == (3, 2)
    assert density.score_samples(frame[:3], targets[:3]).shape == (3,)
    assert density.sample(frame[:3], 2).shape == (3, 2, 2)
    assert list(density.feature_names_in_) == ["a", "b", "c"]


def test_numbers_have_no_probabilities_of_labels(density, rows):
    assert not hasattr(density, "predict_proba")
    assert not hasattr(ConditionalDensity(), "predict_proba")
    assert hasattr(ConditionalDensity(labels=True), "predict_proba")
    X, y = rows
    sides = np.where(y > 0, "right", "left")
    again = ConditionalDensity("gaussian", random_state=0).fit(X[:60], sides[:60])
    assert hasattr(again, "predict_proba")
    assert not hasattr(again.fit(X[:60], y[:60]), "predict_proba")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        density.score(rows[0], rows[1][:-1])


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [("nice", None, "no conditions on columns"), ("gaussian", np.ones(400), "cannot be modelled")],
)
def test_what_cannot_be_fitted(rows, model, y, message):
    with pytest.raises(ValueError, match=message):
        ConditionalDensity(model).fit(rows[0], rows[1] if y is None else y)


def test_weighted_rows_pull_the_mean_and_rows_of_weight_zero_are_left_out() -> None:
    generator = np.random.default_rng(30)
    x = generator.normal(size=(400, 1))
    y = np.where(np.arange(400) < 200, 1.0, 5.0) + x[:, 0] + 0.1 * generator.normal(size=400)
    weights = np.where(np.arange(400) < 200, 3.0, 1.0)
    density = ConditionalDensity("gaussian", random_state=0, max_time=2)
    middle = np.zeros((1, 1))
    assert abs(density.fit(x, y, sample_weight=weights).predict(middle)[0] - 2.0) < 0.3
    assert abs(density.fit(x, y, sample_weight=1.0 * (weights > 1.0)).predict(middle)[0] - 1.0) < 0.1


@pytest.mark.parametrize("weights", [[-1.0] + [1.0] * 99, [0.0] * 100, [1.0] * 99])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    x = np.random.default_rng(0).normal(size=(100, 1))
    with pytest.raises(ValueError, match="weight"):
        ConditionalDensity("gaussian").fit(x, x[:, 0], sample_weight=weights)


def test_single_precision_is_accepted() -> None:
    generator = np.random.default_rng(31)
    x = generator.normal(size=(300, 2)).astype(np.float32)
    y = (x[:, 0] - 2.0 * x[:, 1] + 0.1 * generator.normal(size=300)).astype(np.float32)
    density = ConditionalDensity("gaussian", random_state=0, max_time=2).fit(x, y)
    assert np.abs(density.predict(x) - (x[:, 0] - 2.0 * x[:, 1])).max() < 0.2
    assert np.isfinite(density.score_samples(x, y)).all()
