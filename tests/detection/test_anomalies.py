"""`logpx.anomalies`: p-values, reasons and notes for every kind of model."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

import logpx
from logpx.tables import TableModel


def table(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    z = random.normal(size=(count, 2))
    a = z[:, 0] + 0.2 * random.normal(size=count)
    b = 5.0 * z[:, 0] + random.normal(size=count)
    return pd.DataFrame({"a": a, "b": b, "c": np.exp(0.5 * z[:, 1])})


@pytest.fixture(
    scope="module",
    params=["gaussian", "ppca", "maf", "autoregressive", pytest.param("vae", marks=pytest.mark.slow)],
)
def model(request: pytest.FixtureRequest) -> TableModel:
    return logpx.fit(request.param, table(600, 0), max_time=3).model


def test_a_cell_that_does_not_fit_is_the_reason(model: TableModel) -> None:
    new = table(40, 1)
    new.loc[5, "c"] = 60.0
    found = logpx.anomalies(model, new, top=3)
    assert found.rows == 40
    assert found.table["row"].to_pylist()[0] == 6
    reason = found.reasons[6][0]
    assert reason.column == "c"
    assert float(reason.low) < float(reason.expected) < float(reason.high) < 40.0
    assert reason.surprisal > reason.usual


def test_p_values_are_those_of_the_rows_set_aside(model: TableModel) -> None:
    found = logpx.anomalies(model, table(50, 2), everything=True).table
    scores = found["score"].to_numpy()
    assert model.unusualness is not None
    aside = model.unusualness.calibration.scores.numpy()
    expected = [(1 + (aside <= score).sum()) / (1 + len(aside)) for score in scores]
    np.testing.assert_allclose(found["p_value"].to_numpy(), expected)


def test_p_values_are_uniform_where_a_third_of_the_rows_repeat() -> None:
    def rows(count: int, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        return random.normal(size=(count, 2)) * (random.random((count, 1)) > 0.35)

    model = logpx.fit("gaussian", rows(1000, 7), max_steps=50).model
    assert model.calibration is not None
    assert "cross-fitting" in model.calibration.source
    found = [logpx.anomalies(model, rows(2000, 6), everything=True, seed=seed).table for seed in (0, 0, 1)]
    p_values, same, other = (one["p_value"].to_numpy() for one in found)
    distance = stats.kstest(p_values, "uniform").statistic
    assert stats.kstwobign.sf(distance * (1000 * 2000 / 3000) ** 0.5) > 1e-3
    np.testing.assert_array_equal(p_values, same)
    assert (p_values != other).any()


def test_p_values_survive_the_model_folder(model: TableModel, tmp_path) -> None:
    logpx.save(model, tmp_path / "m")
    new = table(20, 3)
    found = logpx.anomalies(tmp_path / "m", new, everything=True)
    assert found.table.equals(logpx.anomalies(model, new, everything=True).table)


def test_kept_columns_stand_first() -> None:
    frame = table(100, 4).assign(id=[f"r{number}" for number in range(100)])
    model = logpx.fit("gaussian", frame, max_time=2).model
    found = logpx.anomalies(model, frame, top=2, keep=["id"])
    assert found.table.column_names[:2] == ["id", "row"]
    assert [f"r{row - 1}" for row in found.table["row"].to_pylist()] == found.table["id"].to_pylist()


def test_a_cell_that_another_explains_is_not_blamed_and_later_reasons_say_what_they_leave_out() -> None:
    frame = table(500, 5)[["a", "b"]].assign(label=lambda rows: np.where(rows["a"] > 0.0, "up", "down"))
    model = logpx.fit("gmm", frame, max_time=3).model
    new = pd.DataFrame({"a": [1.5, 1.5, 40.0], "b": [-9.0, 7.5, -200.0], "label": ["up", "down", "up"]})
    found = logpx.anomalies(model, new, top=3).reasons
    assert [reason.column for reason in found[1]] == ["b"]
    assert [reason.column for reason in found[2]] == ["label"]
    first, second = found[3][:2]
    assert (first.without, second.without) == ((), (first.column,))
    assert str(second).endswith(f"given the rest without {first.column}")


def test_a_value_in_a_gap_is_rare_there_and_a_column_by_itself_is_given_nothing() -> None:
    random = np.random.default_rng(8)
    model = logpx.fit("gmm", {"a": np.concatenate([-5.0, 5.0] + 0.5 * random.normal(size=(300, 2)))}).model
    found = logpx.anomalies(model, {"a": [0.0, 30.0]}, top=2).reasons
    assert found[1][0].within
    assert str(found[1][0]).startswith("a 0: rare between -")
    assert str(found[2][0]).startswith("a 30: expected -")
    assert "given" not in str(found[1][0]) + str(found[2][0])


def test_a_swapped_cell_is_named_first() -> None:
    random = np.random.default_rng(9)
    z = random.normal(size=(700, 2)) @ np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.3, 1.0, 0.4]])
    rows = z + 0.2 * random.normal(size=z.shape)
    model = logpx.fit("gmm", rows[:600], components=2, max_time=4).model
    usual, columns = rows[600:], np.arange(50) % 4
    one, other = np.arange(0, 100, 2), np.arange(1, 100, 2)
    new = usual.copy()
    new[one, columns], new[other, columns] = usual[other, columns], usual[one, columns]
    found = logpx.anomalies(model, new, alpha=0.01).reasons
    named = [model.schema.modelled_names.index(reasons[0].column) for reasons in found.values()]
    right = np.array(named) == columns[(np.array(list(found)) - 1) // 2]
    assert len(right) > 20
    assert right.mean() > 0.8


def test_a_label_as_probable_as_others_is_no_reason() -> None:
    frame = table(400, 11)[["a", "b"]].assign(k=np.random.default_rng(12).choice(["x", "y"], 400))
    model = logpx.fit("gaussian", frame, max_time=5).model
    found = logpx.anomalies(model, frame, top=20).reasons.values()
    assert "k" not in [reason.column for reasons in found for reason in reasons]


def test_rows_of_values_that_repeat_hide_nothing() -> None:
    random = np.random.default_rng(13)
    usual = 800.0 + 100.0 * random.normal(size=(300, 1)) + 100.0 * random.normal(size=(300, 6))
    spikes = random.choice([0.0, 1000.0, -1000.0], size=(300, 6), p=[0.4, 0.3, 0.3])
    strange = np.arange(300) < 60
    rows = np.where(strange[:, None], spikes, usual)
    model = logpx.fit("gmm", rows, max_time=4).model
    found = logpx.anomalies(model, rows, everything=True).table
    assert roc_auc_score(strange, -found["log_prob_lower"].to_numpy()) < 0.5
    assert roc_auc_score(strange, -found["score"].to_numpy()) > 0.9


def test_a_model_without_an_ensemble_says_that_log_p_misleads_where_values_repeat() -> None:
    random = np.random.default_rng(10)
    rows = random.normal(size=(300, 2)) * (random.random((300, 2)) > 0.3)
    whole = logpx.fit("gaussian", rows, max_time=2).model
    model = TableModel(whole.schema, whole.density, calibration=whole.calibration)
    assert not [each for each in logpx.anomalies(whole, rows[:50], top=1).notes if "single values" in each]
    assert "score" not in logpx.anomalies(model, rows[:50], top=1).table.column_names
    (note,) = [each for each in logpx.anomalies(model, rows[:50], top=1).notes if "single values" in each]
    assert "2 of 2 columns" in note


def test_reasons_are_drawn() -> None:
    frame = table(300, 6)
    model = logpx.fit("gaussian", frame, max_time=2).model
    new = table(20, 7)
    new.loc[3, "c"] = 90.0
    found = logpx.anomalies(model, new, top=2)
    ax = found.plot_anomalies()
    longest = max(reason.excess for reasons in found.reasons.values() for reason in reasons)
    assert max(bar.get_width() for bar in ax.patches) == pytest.approx(longest)
    assert "c" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("strange", [25, 5])
def test_a_column_that_most_rows_are_selected_for_is_named(strange: int) -> None:
    random = np.random.default_rng(0)
    rows = {"day": random.uniform(0.0, 300.0, 300), "x": random.normal(size=300)}
    model = logpx.fit("gaussian", rows, max_steps=5).model
    new = {"day": np.concatenate([np.full(40 - strange, 150.0), np.arange(5e3, 5e3 + strange)])}
    found = logpx.anomalies(model, new | {"x": random.normal(size=40)}, alpha=0.01)
    said = [note for note in found.notes if "--columns day=drop" in note]
    assert len(said) == (strange >= 20)
