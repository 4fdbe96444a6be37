"""Anomalies among a table's own rows: robust, and few where there are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import logpx
from logpx.detection import EmpiricalNull
from logpx.detection.own_judgement import judged_among_themselves
from logpx.errors import DataError
from logpx.scoring import benjamini_hochberg
from logpx.tables.coding import RowCoding


def table(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.lognormal(0.0, 1.0, count)
    return pd.DataFrame(
        {
            "size": size,
            "cost": 10.0 * size**1.5 * random.lognormal(0.0, 0.1, count),
            "kind": random.choice(["a", "b", "c"], count, p=[0.5, 0.4, 0.1]),
            "level": random.normal(size=count),
        }
    )


def test_a_tenth_of_anomalies_is_found_and_explained() -> None:
    frame = table(500, 0)
    strange = frame.index[10:60]
    frame.loc[strange, "cost"] *= 30.0
    found = logpx.anomalies(frame, alpha=0.02)
    rows = np.array(found.table["row"].to_pylist()) - 1
    hits = np.isin(rows, strange)
    assert hits.sum() > 45
    assert hits.mean() > 0.7
    # A model that had little time may leave a row without reasons.
    first = [next((reason.column for reason in found.reasons[int(row) + 1]), None) for row in rows[hits]]
    assert np.mean([column in {"cost", "size"} for column in first]) > 0.9


@pytest.mark.slow
def test_hardly_any_row_is_found_where_there_is_none() -> None:
    assert logpx.anomalies(table(800, 1), explain=False).table.num_rows <= 8


def test_usual_rows_beside_a_dense_cluster_are_not_selected() -> None:
    random = np.random.default_rng(4)
    a = random.normal(size=1000)
    rows = np.stack([a, a + 0.3 * random.normal(size=1000), random.normal(size=1000)], 1)
    rows[:80] = [4.0, -4.0, 4.0] + 0.1 * random.normal(size=(80, 3))
    found = logpx.anomalies(rows, explain=False, fdr=0.1).table["row"].to_numpy() - 1
    assert (found < 80).sum() == 80
    assert (found >= 80).sum() <= 12


def test_usual_rows_of_counts_are_not_selected() -> None:
    random = np.random.default_rng(6)
    size = random.lognormal(1.0, 0.7, 800)
    columns = {
        "orders": random.poisson(size),
        "visits": random.poisson(8.0 * size),
        "calls": random.poisson(0.3, 800),
        "days": random.negative_binomial(2, 0.1, 800),
    }
    columns["orders"][:20] = random.integers(500, 5_000, 20)
    x = np.column_stack(list(columns.values())).astype(float)
    _, p_values = judged_among_themselves(x, RowCoding.of(x, [0] * 4), seed=0)
    found = np.flatnonzero(benjamini_hochberg(p_values, 0.05))
    assert (found < 20).sum() >= 12
    # It had been 9.
    assert (found >= 20).sum() <= 1


@pytest.mark.slow
def test_one_huge_value_does_not_hide() -> None:
    frame = table(200, 5)
    frame.loc[17, "level"] = 1e300
    assert logpx.anomalies(frame, explain=False).table["row"].to_pylist() == [18]


@pytest.mark.slow
def test_all_rows_have_p_values_that_are_nearly_uniform() -> None:
    p_values = logpx.anomalies(table(800, 2), everything=True).table["p_value"].to_numpy()
    assert 0.02 < np.mean(p_values < 0.05) < 0.09
    assert 0.4 < np.mean(p_values < 0.5) < 0.6


def test_the_null_is_that_of_the_usual_rows() -> None:
    random = np.random.default_rng(3)
    scores = -random.gamma(3.0, size=2000)
    planted = np.concatenate([scores, np.full(400, -100.0)])
    p_values = EmpiricalNull(planted).p_values(planted)
    assert p_values[2000:].max() < 1e-3
    assert 0.02 < np.mean(p_values[:2000] < 0.05) < 0.08
    assert 0.4 < np.mean(p_values[:2000] < 0.5) < 0.6


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_far_rows_of_a_heavy_tail_are_not_selected(power: float) -> None:
    random = np.random.default_rng(7)
    selected = []
    for _ in range(8):
        scores = -(np.abs(random.standard_t(3, size=800)) ** power)
        selected.append(benjamini_hochberg(EmpiricalNull(scores).p_values(scores), 0.05).sum())
    assert np.count_nonzero(selected) <= 1


def test_anomalies_beside_an_exponential_tail_are_selected_and_it_is_not() -> None:
    random = np.random.default_rng(8)
    scores = -random.exponential(size=1000)
    scores[:30] = -random.lognormal(3.0, 0.5, 30) - 5.0
    chosen = benjamini_hochberg(EmpiricalNull(scores).p_values(scores), 0.05)
    assert chosen[:30].sum() >= 27
    assert chosen[30:].sum() <= 3


def test_a_few_rows_that_differ_from_equal_ones_are_as_rare_as_they_are() -> None:
    scores = np.zeros(200)
    scores[:3] = -1e6
    p_values = EmpiricalNull(scores).p_values(scores)
    assert p_values[0] == pytest.approx(4 / 201)
    assert p_values[10] == 1.0


def test_scores_that_are_all_equal_are_all_usual() -> None:
    p_values = EmpiricalNull(np.zeros(50)).p_values(np.zeros(50))
    assert np.isfinite(p_values).all()
    assert p_values.min() > 0.01


def test_too_few_rows_are_refused_with_their_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few"):
        EmpiricalNull(np.zeros(19))
    path = tmp_path / "few.csv"
    table(19, 0).to_csv(path, index=False)
    with pytest.raises(DataError, match="too few") as caught:
        logpx.anomalies(str(path))
    assert caught.value.file == str(path)


def test_a_minority_of_grades_is_no_anomaly() -> None:
    random = np.random.default_rng(0)
    grade = random.choice([1, 2, 4, 5], 600, p=[0.05, 0.05, 0.3, 0.6])
    price = np.exp(3.0 + 0.5 * random.normal(size=600)).round(2)
    price[:6] *= 30.0
    found = logpx.anomalies(pd.DataFrame({"price": price, "grade": grade}), top=600, explain=False)
    order = np.array(found.table["row"].to_pylist())
    assert set(order[:6]) == {1, 2, 3, 4, 5, 6}
    p_values = found.table["p_value"].to_numpy()
    assert (p_values[:6] < 0.01).all()
    assert (p_values[6:] < 0.01).mean() < 0.02
