"""How near synthetic rows are to training rows: copies, distances, and membership by log p."""

import numpy as np
import pytest

import logpx
from logpx.detection import check_synthetic
from logpx.errors import UsageError


@pytest.fixture(scope="module")
def train() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    a = draw.normal(size=400)
    return {"a": a, "b": 0.5 * a + draw.normal(size=400), "label": draw.choice(["x", "y"], 400)}


@pytest.fixture(scope="module")
def model(train):
    return logpx.fit("gmm", train, components=1, max_time=1).model


def test_rows_of_a_good_model_are_like_new_ones(model, train):
    found = check_synthetic(model, model.sample(1000, seed=0), train)
    assert (found.rows, found.train_rows) == (1000, 400)
    assert found.copies == found.duplicates == 0.0
    assert found.close < 0.12
    assert found.distance == pytest.approx(found.usual_distance, rel=0.3)
    assert found.membership == pytest.approx(0.5, abs=0.06)
    assert 0.0 <= found.advantage < 0.15
    assert "not a promise of privacy" in str(found)


def test_copies_and_near_copies_are_counted(model, train):
    copied = {name: column[:200] for name, column in train.items()}
    found = check_synthetic(model, copied, train)
    assert found.copies == 1.0
    assert found.close == 1.0
    assert found.distance == 0.0
    near = {**copied, "a": copied["a"] + 1e-6}
    found = check_synthetic(model, near, train)
    assert found.copies == 0.0
    assert found.close > 0.9


def test_doubles_of_the_table_itself_are_said():
    draw = np.random.default_rng(1)
    table = {"n": draw.integers(0, 3, 300), "label": draw.choice(["x", "y"], 300)}
    model = logpx.fit("gmm", table, components=1, max_time=1).model
    found = check_synthetic(model, model.sample(200, seed=0), table)
    assert found.duplicates == 1.0
    assert found.copies > 0.95


def test_missing_cells_are_equal_and_ties_count_in_proportion():
    draw = np.random.default_rng(2)
    n = np.where(draw.random(300) < 0.3, np.nan, draw.integers(0, 4, 300))
    table = {"n": n, "label": draw.choice(["x", "y"], 300)}
    model = logpx.fit("gmm", table, components=1, max_time=1).model
    found = check_synthetic(model, {name: column[:100] for name, column in table.items()}, table)
    assert (found.copies, found.duplicates) == (1.0, 1.0)
    assert found.usual_distance == 0.0
    assert found.close == pytest.approx(0.05)
    far = check_synthetic(model, {"n": [9.0, 9.0, np.nan, np.nan], "label": ["x", "y", "x", "y"]}, table)
    assert far.copies == 0.5
    assert far.close == pytest.approx(0.025)


def test_a_model_that_knows_its_rows_by_heart_is_found_out(train):
    # As many components as rows: a training row is far more probable than any other.
    few = {name: column[:60] for name, column in train.items() if name != "label"}
    model = logpx.fit("gmm", few, components=20, max_time=2).model
    found = check_synthetic(model, model.sample(500, seed=0), few)
    assert found.membership > 0.6
    assert found.advantage > 0.15


def test_a_huge_value_does_not_make_all_rows_near():
    x = np.random.default_rng(4).normal(size=(200, 1))
    model = logpx.fit("gaussian", x).model
    strange = x.copy()
    strange[7] = 1e300
    found, before = (check_synthetic(model, x[:100] + 0.3, rows) for rows in (strange, x))
    assert found.usual_distance == pytest.approx(before.usual_distance, rel=0.2)
    assert found.distance == pytest.approx(before.distance, rel=0.2)


def test_mistakes(model, train):
    with pytest.raises(UsageError, match="fewer than two rows"):
        check_synthetic(model, model.sample(1, seed=0), train)
