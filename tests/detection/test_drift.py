"""Whether the distribution of a table has moved: no false alarms, and the columns that moved are named."""

import math

import numpy as np
import pytest
from scipy import stats

import logpx
from logpx.distributions import StandardNormal
from logpx.errors import DataError, UsageError


def rows(count: int, draw: np.random.Generator) -> dict[str, np.ndarray]:
    a = draw.normal(size=count)
    return {
        "a": a,
        "b": np.exp(0.8 * a + 0.6 * draw.normal(size=count)),
        "n": draw.poisson(3.0, count),
        "label": draw.choice(["x", "y", "z"], count, p=[0.5, 0.3, 0.2]),
    }


@pytest.fixture(scope="module")
def model():
    table = rows(1200, np.random.default_rng(0))
    return logpx.fit("gmm", table, components=2, max_steps=100).model


def test_rows_of_the_same_kind_raise_no_alarm(model):
    found = logpx.drift(model, rows(500, np.random.default_rng(1)))
    assert not found.moved
    assert found.moved_columns == []
    assert str(found).startswith("no sign that the distribution has moved")
    assert (found.rows, found.outside) == (500, 0)
    assert abs(found.difference) < 4 * found.standard_error
    assert {one.column for one in found.columns} == {"a", "b", "n", "label"}


@pytest.mark.slow
def test_p_values_are_uniform_over_repetitions():
    # The model is wrong on purpose, and one for all: what counts is that both samples are of one kind.
    raw, alarms = [], 0
    for repetition in range(24):
        draw = np.random.default_rng(100 + repetition)
        train = {"a": draw.exponential(size=240), "b": draw.normal(size=240)}
        model = logpx.fit("gaussian", train, max_time=1, columns={"a": "continuous"}).model
        found = logpx.drift(model, {"a": draw.exponential(size=150), "b": draw.normal(size=150)})
        raw.append(found.difference / found.standard_error)
        alarms += found.moved
    assert stats.kstest(raw, "norm").pvalue > 0.001
    # At a level of 5 %, 24 repetitions have more than 5 alarms once in a thousand times.
    assert alarms <= 5


def test_a_column_that_moved_is_named(model):
    new = rows(500, np.random.default_rng(2))
    new["a"] = new["a"] + 1.0
    found = logpx.drift(model, new)
    assert found.moved
    assert found.moved_columns[0].column == "a"
    assert found.moved_columns[0].median_rank > 0.7
    assert found.difference < 0.0
    labels = rows(500, np.random.default_rng(3))
    labels["label"] = np.random.default_rng(4).choice(["x", "y", "z"], 500, p=[0.2, 0.3, 0.5])
    assert [one.column for one in logpx.drift(model, labels).moved_columns if not one.given_rest] == ["label"]


def test_a_dependence_that_broke_is_found_given_the_rest(model):
    new = rows(600, np.random.default_rng(5))
    new["b"] = np.random.default_rng(6).permutation(new["b"])
    found = logpx.drift(model, new)
    assert found.moved
    assert all(one.given_rest for one in found.moved_columns)
    assert {"a", "b"} <= {one.column for one in found.moved_columns} | {"a"}
    by_itself = [one.p_value for one in found.columns if one.column == "b" and not one.given_rest]
    assert by_itself[0] > 0.05


def test_new_labels_and_missing_cells_count(model):
    new = rows(300, np.random.default_rng(7))
    new["label"] = np.where(np.arange(300) % 4 == 0, "new", new["label"])
    found = logpx.drift(model, new)
    assert found.outside == 75
    assert found.moved
    assert any("'new'" in note for note in found.notes)
    holes = rows(300, np.random.default_rng(8))
    holes["a"][:90] = np.nan
    assert "a" in [one.column for one in logpx.drift(model, holes).moved_columns]


def test_the_answer_stays_that_of_the_saved_model(model, tmp_path):
    new = rows(200, np.random.default_rng(9))
    logpx.save(model, tmp_path / "model")
    again = logpx.drift(logpx.load(tmp_path / "model"), new)
    assert again == logpx.drift(model, new)
    values = again.to_dict()
    assert values["moved"] == again.moved
    assert len(values["columns"]) == 8


def test_mistakes(model):
    new = rows(50, np.random.default_rng(10))
    with pytest.raises(UsageError, match="alpha"):
        logpx.drift(model, new, alpha=1.5)
    with pytest.raises(UsageError, match="StandardNormal"):
        logpx.drift(StandardNormal(2), new)
    with pytest.raises(DataError, match="lacks this column"):
        logpx.drift(model, {"a": new["a"]})
    few = logpx.fit("gaussian", {"x": np.arange(20.0) ** 1.5}, max_time=1).model
    with pytest.raises(UsageError, match="no rows set aside"):
        logpx.drift(few, {"x": np.arange(20.0)})
    assert math.isfinite(logpx.drift(model, new).distance)
