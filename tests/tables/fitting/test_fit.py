"""Fitting tables: choices, notes, errors; the density against the one that the rows were drawn from."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import logpx
from logpx.errors import DataError, UsageError
from logpx.tables import Schema, fit_table, infer_schema, open_table
from logpx.tables.families.families import FAMILIES
from logpx.tables.fitting.rows import divide, divided_rows, read_rows


@pytest.fixture(scope="module")
def two_clusters() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    side = rng.random(3000) < 0.3
    a = np.where(side, rng.normal(-4, 1, 3000), rng.normal(4, 0.5, 3000))
    return pd.DataFrame({"a": a, "b": np.exp(0.5 * rng.normal(size=3000) + 0.2 * a)})


def _truth(frame: pd.DataFrame) -> np.ndarray:
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    marginal = 0.3 * stats.norm.pdf(a, -4, 1) + 0.7 * stats.norm.pdf(a, 4, 0.5)
    return np.log(marginal) + stats.lognorm.logpdf(b, 0.5, scale=np.exp(0.2 * a))


def test_automatic_choice_comes_close_to_the_true_density(two_clusters: pd.DataFrame, steps) -> None:
    lines: list[str] = []
    result = fit_table(two_clusters[:2500], **steps(120), report=lines.append)
    test = two_clusters[2500:]
    regret = _truth(test).mean() - result.model.evaluate(test).mean
    assert regret < 0.15
    assert result.model.kind == "exact"
    assert {record.model for record in result.candidates} >= {"gaussian", "gmm", "maf", "nsf"}
    assert sum(record.chosen for record in result.candidates) == 1
    assert len(lines) >= 6
    json.dumps(result.to_dict())
    evaluation = result.model.evaluate(test)
    assert list(evaluation.baselines) == ["independent marginals", "full-covariance Gaussian"]
    assert evaluation.baselines["full-covariance Gaussian"].gain > 0.3


# Near relatives of a family that is tried anyway, and what the automatic choice above tries.
SECOND = {"nice", "iaf", "realnvp", "mppca", "nsf"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SECOND else []) for name in sorted(FAMILIES)],
)
def test_every_family_fits_and_beats_the_gaussian_or_is_it(
    name: str, two_clusters: pd.DataFrame, steps
) -> None:
    result = fit_table(two_clusters[:1000], model=name, **steps(120))
    evaluation = result.model.evaluate(two_clusters[2500:])
    assert np.isfinite(evaluation.mean)
    assert evaluation.baselines["full-covariance Gaussian"].gain > 0.2
    sample = result.model.sample(200, seed=0).to_pandas()
    assert (sample["b"] > 0).mean() > 0.95


def test_the_same_seed_gives_the_same_quick_model(two_clusters: pd.DataFrame) -> None:
    scores = [
        fit_table(two_clusters[:100], model="gmm", seed=3).model.log_prob(two_clusters[2500:])
        for _ in range(2)
    ]
    assert torch.equal(*scores)


def test_a_path_and_a_frame_are_the_same_table(two_clusters: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    two_clusters[:300].to_csv(path, index=False)
    scores = [
        logpx.fit("gaussian", source).model.log_prob(two_clusters[2500:])
        for source in (path, two_clusters[:300])
    ]
    torch.testing.assert_close(*scores, rtol=0, atol=1e-9)


def test_left_out_columns_and_bounds_are_noted(two_clusters: pd.DataFrame) -> None:
    frame = two_clusters[:200].assign(id=range(200), one=7.0, count=np.arange(200) % 5)
    result = fit_table(frame, model="gaussian")
    text = "\n".join(result.notes)
    assert "'id'" in text
    assert "'one'" in text
    assert "lower bound" in text
    assert "count" in text
    assert result.model.schema.modelled_names == ["a", "b", "count"]


def test_a_schema_can_be_given(two_clusters: pd.DataFrame) -> None:
    schema = infer_schema(open_table(two_clusters), {"b": "drop"})
    assert fit_table(two_clusters, model="gaussian", schema=schema).model.schema == schema
    with pytest.raises(UsageError):
        fit_table(two_clusters, model="gaussian", schema=schema, columns={"a": "drop"})


def test_validation_rows_can_be_given(two_clusters: pd.DataFrame) -> None:
    result = fit_table(two_clusters[:300], model="gmm", validation=two_clusters[300:400])
    assert (result.train_rows, result.validation_rows) == (300, 100)


@pytest.mark.parametrize("values", [[f"name {n}" for n in range(20)], [None] * 20], ids=["unique", "empty"])
def test_what_says_nothing_of_a_row_is_left_out_with_a_note(values: list) -> None:
    result = fit_table({"a": values, "b": np.arange(20.0) ** 2}, model="gaussian")
    assert result.model.schema.modelled_names == ["b"]
    assert any("column 'a' is left out" in note for note in result.notes)


def test_an_infinite_cell_names_the_column_and_the_remedy() -> None:
    with pytest.raises(DataError) as caught:
        fit_table({"a": [1.0, 2.5, np.inf, 4.0], "b": [1.0, 2.0, 5.0, 6.5]}, model="gaussian")
    assert caught.value.column == "a"
    assert caught.value.fix


def test_one_row_is_refused() -> None:
    with pytest.raises(DataError):
        fit_table({"a": [1.5], "b": [2.5]}, model="gaussian")


def test_only_constant_columns_are_refused() -> None:
    with pytest.raises(DataError):
        fit_table({"a": [1.5] * 10}, model="gaussian")


def test_a_linear_combination_names_the_column() -> None:
    x = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(DataError) as caught:
        fit_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 0] + x[:, 1]}, model="gaussian")
    assert caught.value.column == "c"


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_a_handful_of_rows_gives_a_finite_model(rows: int, steps) -> None:
    x = np.random.default_rng(0).normal(size=(rows, 1))
    result = fit_table({"a": x[:, 0]}, **steps(50))
    assert torch.isfinite(result.model.log_prob({"a": x[:, 0] + 0.1})).all()


@pytest.mark.slow
def test_duplicate_rows_and_huge_values(steps) -> None:
    rng = np.random.default_rng(0)
    frame = {"a": np.repeat(rng.normal(size=50), 10) * 1e30, "b": rng.standard_cauchy(500) * 1e200}
    result = fit_table(frame, **steps(40))
    assert torch.isfinite(result.model.log_prob(frame)).all()


def test_an_unknown_model_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="gmm"):
        fit_table({"a": [1.0, 2.0, 4.0]}, model="gnm")


def test_a_request_to_stop_is_obeyed(two_clusters: pd.DataFrame) -> None:
    asked = itertools.count()
    result = fit_table(two_clusters[:500], max_time=600, should_stop=lambda: next(asked) > 50)
    # Asked once more by whatever is under way, not once for every step that the time would allow.
    assert next(asked) < 500
    assert torch.isfinite(result.model.log_prob(two_clusters)).all()


def test_reading_keeps_a_uniform_sample_of_a_long_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logpx.tables.fitting.rows._MOST_NUMBERS", 1000)
    table = open_table({"a": np.arange(200_000) + 0.25})
    schema = Schema(columns=infer_schema(table, {"a": "continuous"}).columns)
    rows, count = read_rows(table, schema, seed=0)
    assert count == 200_000
    assert rows.shape == (1000, 1)
    assert stats.kstest(rows[:, 0].numpy() / 200_000, "uniform").pvalue > 1e-3


def test_a_division_is_complete_and_disjoint() -> None:
    rows = torch.arange(50.0)[:, None]
    training, held_out = divide(rows, 0.1)
    assert len(held_out) == 5
    assert torch.equal(torch.cat([held_out, training]), rows)


def test_a_column_that_varies_does_so_among_the_training_rows() -> None:
    rows = torch.zeros(70, 4, dtype=torch.float64)
    rows[2, 0], rows[3, 1] = 1.0, 5.0
    rows[:, 2], rows[1, 2], rows[5, 2] = torch.nan, 4.0, 7.0
    rows[60, 3] = 1.0
    training, held_out = divide(rows, 0.25)
    assert len(training) + len(held_out) == 70
    assert all(len(column[~column.isnan()].unique()) == 2 for column in training.T)
    x = torch.where(torch.arange(70) == 66, 1.0, 0.0).numpy()
    for seed in range(4):
        assert fit_table({"a": x, "b": np.arange(70) / 7}, "gaussian", seed=seed, max_time=1).model


def test_a_quick_model_is_fitted_to_all_rows_once_it_is_chosen(two_clusters: pd.DataFrame) -> None:
    frame = two_clusters[["a"]][:300]
    model = fit_table(frame, model="gaussian").model
    y = model.density.columns(torch.tensor(frame.to_numpy()))[0]
    np.testing.assert_allclose(model.density.model.means[0].detach(), y.mean(0), atol=1e-9)
    covariance = model.density.model.covariances[0].detach()
    np.testing.assert_allclose(covariance, y.var(0, correction=0)[:, None], rtol=1e-9)


def test_rows_given_for_validation_stay_out_of_the_fit(two_clusters: pd.DataFrame) -> None:
    frame = two_clusters[["a"]][:300]
    model = fit_table(frame, model="gaussian", validation=two_clusters[["a"]][300:400]).model
    y = model.density.columns(torch.tensor(frame.to_numpy()))[0]
    np.testing.assert_allclose(model.density.model.means[0].detach(), y.mean(0), atol=1e-9)


def test_a_small_normal_table_gets_one_component() -> None:
    x = np.random.default_rng(0).normal(size=(80, 2))
    model = fit_table(x, model="gmm").model
    assert model.density.model.components == 1


def test_an_unusable_device_is_refused_before_the_work(two_clusters: pd.DataFrame, steps) -> None:
    with pytest.raises(UsageError, match="quantum"):
        fit_table(two_clusters, device="quantum")
    model = fit_table(two_clusters[:200], model="realnvp", device="cpu", **steps(50)).model
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    "options",
    [{"seed": -1}, {"seed": 1.5}, {"max_time": 0.0}, {"max_time": float("nan")}, {"schema": "schema.json"}],
)
def test_arguments_that_cannot_be_meant(two_clusters: pd.DataFrame, options: dict) -> None:
    with pytest.raises(UsageError):
        fit_table(two_clusters[:50], "gaussian", **options)


@pytest.mark.parametrize("model", ["gmm", "realnvp"])
def test_a_huge_seed_is_a_seed(two_clusters: pd.DataFrame, model: str, steps) -> None:
    frame = two_clusters[:60].assign(count=range(60))
    result = fit_table(frame, model, seed=2**70, **steps(50))
    assert torch.isfinite(result.model.log_prob(frame)).all()


def test_no_more_rows_are_set_aside_than_there_is_time_to_score():
    table = open_table({"a": np.random.default_rng(0).normal(size=20_000)})
    for seconds, aside in ((60.0, 2000), (0.1, 800), (0.001, 200)):
        read = divided_rows(table, None, infer_schema(table), 0, seconds=seconds)
        assert len(read.held_out) == aside


def test_data_drawn_with_the_seed_of_the_fit_are_not_in_its_order():
    # The first numbers of the same generator: rows are set aside by others.
    below = np.random.default_rng(0).random(1000) < 0.7
    rows = torch.from_numpy(np.where(below, 0.0, 1.0)[:, None])
    table = open_table({"a": rows[:, 0].numpy()})
    found = divided_rows(table, None, infer_schema(table), seed=0)
    assert 0.5 < float((found.held_out == 0).double().mean()) < 0.9
