"""AnomalyDetector: scores, p-values of rows it has not seen, missing cells, strange columns."""

import pickle

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from logpx.estimators import AnomalyDetector


def rows(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(6, 6))
    return random.normal(size=(count, 6)) @ mixing + 100.0


def test_p_values_of_new_rows_are_uniform() -> None:
    detector = AnomalyDetector(members=20, random_state=0).fit(rows(1500, 1))
    p_values = detector.p_values(rows(400, 2))
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert detector.calibration_.rows == 1500


def test_anomalies_in_the_rows_of_the_fit_are_found_even_in_a_cluster() -> None:
    usual = rows(900, 3)
    strange = 100.0 + 12.0 + 0.5 * np.random.default_rng(4).normal(size=(60, 6))
    x, labels = np.concatenate([usual, strange]), np.repeat([0, 1], [900, 60])
    detector = AnomalyDetector(random_state=0).fit(x)
    assert roc_auc_score(labels, -detector.score_samples(x)) > 0.99
    assert (detector.fit_predict(x) == np.where(detector.decision_function(x) < 0, -1, 1)).all()


def test_a_value_that_repeats_is_no_spike_for_strange_rows_to_hide_in() -> None:
    random = np.random.default_rng(5)
    x = np.where(
        random.random((1000, 8)) < 0.3,
        0.0,
        random.normal(size=(1000, 1)) + 0.3 * random.normal(size=(1000, 8)) + 3.0,
    )
    strange = np.where(random.random((50, 8)) < 0.5, 0.0, random.normal(3.0, 3.0, (50, 8)))
    scores = AnomalyDetector(random_state=0).fit(x).score_samples(np.concatenate([x[:500], strange]))
    assert roc_auc_score(np.repeat([0, 1], [500, 50]), -scores) > 0.85


def test_missing_cells_do_not_make_a_row_usual() -> None:
    x = rows(800, 6)
    x[np.random.default_rng(7).random(x.shape) < 0.05] = np.nan
    detector = AnomalyDetector(members=20, random_state=0).fit(x)
    strange = rows(60, 8)
    strange[:, 0] += 60.0
    strange[:30, 5] = np.nan
    assert detector.p_values(strange[:30]).max() < 0.05
    strange[:, 0] = np.nan
    assert detector.p_values(strange[30:]).mean() > 0.3


def test_the_cell_that_is_strange_given_the_others_is_the_most_surprising() -> None:
    detector = AnomalyDetector(members=20, random_state=0).fit(rows(800, 9))
    strange = rows(30, 10)
    columns = np.arange(30) % 6
    strange[np.arange(30), columns] += 25.0
    strange[0, 3] = np.nan
    found = detector.surprisals(strange)
    assert np.isnan(found[0, 3])
    assert (np.nanargmax(found, 1) == columns).mean() > 0.9


def test_scale_and_place_of_columns_do_not_matter() -> None:
    x = rows(300, 11)
    scores = AnomalyDetector(members=5, random_state=0).fit(x).score_samples(x)
    moved = x * [1e-9, 1e200, -3.0, 1.0, 1e6, 7.0] + [0.0, 0.0, 5.0, -1e4, 0.0, 1.0]
    again = AnomalyDetector(members=5, random_state=0).fit(moved).score_samples(moved)
    np.testing.assert_allclose(again, scores, rtol=1e-4, atol=1e-4)


def test_another_value_of_a_column_that_never_varied_is_unusual() -> None:
    x = np.column_stack([rows(400, 12), np.full(400, 7.0)])
    detector = AnomalyDetector(members=10, random_state=0).fit(x)
    other = x[:1].copy()
    other[0, 6] = 8.0
    assert detector.score_samples(other) < detector.score_samples(x[:1]) - 1.0


def test_the_protocol_of_pyod() -> None:
    x = rows(200, 13)
    detector = AnomalyDetector(0.05, members=5, random_state=0).fit(x)
    proba = detector.predict_proba(x)
    assert proba.shape == (200, 2)
    np.testing.assert_allclose(proba.sum(1), 1.0)
    np.testing.assert_allclose(proba[:, 0], detector.p_values(x))
    assert (detector.predict(x) == -1).sum() == 10


def test_it_is_reproducible_and_survives_pickling() -> None:
    x = rows(100, 14)
    detector = AnomalyDetector(members=5, random_state=3).fit(x)
    again = pickle.loads(pickle.dumps(AnomalyDetector(members=5, random_state=3).fit(x)))
    assert (detector.score_samples(x) == again.score_samples(x)).all()


@pytest.mark.parametrize("contamination", [0.0, 0.6, "auto", None])
def test_a_contamination_that_is_no_share_is_refused(contamination: object) -> None:
    with pytest.raises(ValueError, match="contamination is"):
        AnomalyDetector(contamination).fit(rows(20, 15))  # type: ignore[arg-type]


def test_rows_of_a_large_weight_are_usual_and_rows_of_none_are_not_seen() -> None:
    many, few = rows(300, 20), rows(60, 21) + 12.0
    x = np.concatenate([many, few])
    weights = np.concatenate([np.full(300, 0.1), np.full(60, 20.0)])
    detector = AnomalyDetector(random_state=0)
    usual = detector.fit(x, sample_weight=weights).score_samples(few).mean()
    assert usual > detector.score_samples(many).mean()
    assert usual > detector.fit(x).score_samples(few).mean()
    without = detector.fit(x, sample_weight=np.repeat([1.0, 0.0], [300, 60]))
    assert without.calibration_.rows == 300
    assert (without.p_values(few) < 0.01).all()


def test_only_ratios_of_weights_matter_and_equal_ones_are_like_none() -> None:
    x, weights = rows(200, 22), np.random.default_rng(0).uniform(0.5, 3.0, 200)
    detector = AnomalyDetector(members=5, random_state=0)
    found = detector.fit(x, sample_weight=weights).score_samples(x)
    np.testing.assert_allclose(detector.fit(x, sample_weight=1e6 * weights).score_samples(x), found)
    alike, none = (
        detector.fit(x, sample_weight=np.ones(200)),
        AnomalyDetector(members=5, random_state=1).fit(x),
    )
    # Other rows are drawn, of the same kind.
    assert np.corrcoef(alike.score_samples(x), none.score_samples(x))[0, 1] > 0.9


@pytest.mark.parametrize("weights", [[-1.0] + [1.0] * 9, [0.0] * 10, [1.0] * 9, [np.nan] * 10])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        AnomalyDetector().fit(rows(10, 0), sample_weight=weights)


def test_rows_in_single_precision_get_answers_in_it() -> None:
    x = rows(200, 23)
    detector = AnomalyDetector(members=5, random_state=0).fit(x.astype(np.float32))
    found = detector.score_samples(x.astype(np.float32))
    assert found.dtype == detector.p_values(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(
        found, AnomalyDetector(members=5, random_state=0).fit(x).score_samples(x), rtol=1e-3, atol=1e-3
    )
