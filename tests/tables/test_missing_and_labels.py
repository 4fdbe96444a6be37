"""Tables with missing cells and with labels: fitted, scored, filled in, clustered, sampled."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import stats

from logpx import load, save
from logpx.errors import DataError, UsageError
from logpx.tables import Kind, TableModel, fit_table, infer_schema


@pytest.fixture(scope="module")
def normal() -> pd.DataFrame:
    x = np.random.default_rng(0).multivariate_normal([1e3, -2.0], [[4e4, 90.0], [90.0, 0.25]], size=3000)
    return pd.DataFrame(x, columns=["large", "small"])


@pytest.fixture(scope="module")
def holes(normal: pd.DataFrame) -> pd.DataFrame:
    gone = np.random.default_rng(1).random(normal.shape) < 0.2
    return normal.mask(gone)


@pytest.fixture(scope="module")
def gaussian(holes: pd.DataFrame) -> TableModel:
    model = fit_table(holes, "gaussian").model
    # The truth below is of linear maps.
    assert type(model.density.columns.scales[0]).__name__ == "Standard"
    return model


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    generator = np.random.default_rng(2)
    group = generator.integers(3, size=2400)
    return pd.DataFrame(
        {
            "income": np.round(generator.lognormal(3.0 + group, 0.2), 4),
            "town": np.array(["Aa", "Bb", "Cc"])[np.where(generator.random(2400) < 0.9, group, 0)],
            "children": generator.poisson(1.0 + group),
            "member": generator.random(2400) < (0.1 + 0.4 * group),
            "group": group,
        }
    )


@pytest.fixture(scope="module")
def mixed(people: pd.DataFrame) -> TableModel:
    table = people.drop(columns="group").mask(np.random.default_rng(3).random((2400, 4)) < 0.1)
    return fit_table(table, "gmm", components=3, columns={"children": "integer"}).model


def test_log_prob_is_that_of_the_cells_that_are_there(gaussian: TableModel, normal: pd.DataFrame):
    # Maximum likelihood with missing cells is near that of all cells; scores are scipy's marginals.
    y = gaussian.density.model
    columns = gaussian.density.columns
    spread = np.array([scale.spread.item() for scale in columns.scales])
    mean = np.array([scale.centre.item() for scale in columns.scales]) + spread * y.means[0].numpy(force=True)
    covariance = y.covariances[0].numpy(force=True) * np.outer(spread, spread)
    assert (np.abs(mean - normal.mean()) < [12.0, 0.03]).all()
    rows = normal[:5].copy()
    rows.loc[0, "large"] = np.nan
    rows.loc[1, "small"] = np.nan
    rows.loc[2] = np.nan
    scored = gaussian.log_prob(rows).numpy()
    joint = stats.multivariate_normal(mean, covariance, allow_singular=True)
    assert scored[0] == pytest.approx(
        stats.norm(mean[1], covariance[1, 1] ** 0.5).logpdf(rows.small[0]), abs=1e-9
    )
    assert scored[1] == pytest.approx(
        stats.norm(mean[0], covariance[0, 0] ** 0.5).logpdf(rows.large[1]), abs=1e-9
    )
    assert scored[2] == 0.0
    np.testing.assert_allclose(scored[3:], joint.logpdf(rows[3:]), atol=1e-7)


def test_the_best_guess_is_the_conditional_mean(gaussian: TableModel, normal: pd.DataFrame):
    rows = normal[:50].copy()
    rows.loc[:, "small"] = np.nan
    filled = gaussian.impute(rows).to_pandas()
    pd.testing.assert_series_equal(filled.large, rows.large)
    regression = np.polyfit(normal.large, normal.small, 1)
    np.testing.assert_allclose(filled.small, np.polyval(regression, rows.large), atol=0.05)


def test_draws_have_the_spread_of_what_is_unknown(gaussian: TableModel, normal: pd.DataFrame):
    rows = normal[:40].copy()
    rows.loc[:, "small"] = np.nan
    drawn = gaussian.impute(rows, draws=60, seed=1).to_pandas()
    assert drawn.draw.tolist() == np.repeat(np.arange(1, 61), 40).tolist()
    spread = drawn.small.to_numpy().reshape(60, 40).std(0)
    residual = normal.small - np.polyval(np.polyfit(normal.large, normal.small, 1), normal.large)
    assert spread.mean() == pytest.approx(residual.std(), rel=0.05)
    again = gaussian.impute(rows, draws=60, seed=1).to_pandas()
    pd.testing.assert_frame_equal(drawn, again)
    assert not np.allclose(drawn.small, gaussian.impute(rows, draws=60, seed=2).to_pandas().small)


def test_auto_takes_what_allows_missing_cells(holes: pd.DataFrame, steps):
    result = fit_table(holes[:800], **steps(20))
    tried = {name for record in result.candidates for name in record.model.split(" + ")}
    assert tried == {"gaussian", "gmm", "autoregressive"}
    assert any("missing in large, small" in note for note in result.notes)
    assert math.isfinite(result.model.evaluate(holes).mean)


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        pytest.param("ppca", {}, marks=pytest.mark.slow),
        ("fa", {}),
        ("mppca", {"components": 2, "latent": 1}),
    ],
)
def test_models_of_subspaces_know_missing_cells(holes: pd.DataFrame, model: str, sizes: dict, steps):
    few = holes[:800]
    wide = few.assign(third=few.large * 0.3 + np.random.default_rng(5).normal(0.0, 30.0, len(few)))
    fitted = fit_table(wide, model, **sizes, **steps(20)).model
    filled = fitted.impute(wide).to_pandas()
    assert not filled.isna().any().any()
    assert math.isfinite(fitted.evaluate(wide).mean)


def test_a_flow_names_the_missing_cell(holes: pd.DataFrame, tmp_path):
    holes[:300].to_csv(tmp_path / "holes.csv", index=False)
    row = int(np.flatnonzero(holes[:300].isna().any(axis=1))[0]) + 1
    with pytest.raises(DataError, match="missing cell") as error:
        fit_table(tmp_path / "holes.csv", "nsf")
    assert error.value.row == row
    assert "--model gmm" in str(error.value)


@pytest.mark.slow
def test_a_model_of_complete_rows_scores_rows_with_holes(normal: pd.DataFrame, holes: pd.DataFrame):
    model = fit_table(normal, "gmm").model
    evaluation = model.evaluate(holes)
    assert math.isfinite(evaluation.mean)
    assert math.isfinite(evaluation.baselines["independent marginals"].mean)


def test_labels_have_probabilities(people: pd.DataFrame):
    towns = people[["town"]]
    model = fit_table(towns, "gaussian").model
    assert model.kind == "exact"
    frequency = towns.town.value_counts(normalize=True)
    np.testing.assert_allclose(model.log_prob(towns), np.log(frequency[towns.town]), atol=2e-3)
    total = model.log_prob(pd.DataFrame({"town": ["Aa", "Bb", "Cc"]})).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-12)


def test_a_label_that_the_model_does_not_know_is_impossible(mixed: TableModel, people: pd.DataFrame):
    rows = people[:3].drop(columns="group").assign(town=["Aa", "Nowhere", None])
    scored = mixed.log_prob(rows)
    assert scored.isneginf().tolist() == [False, True, False]
    assert mixed.evaluate(rows).outside == 1


def test_mixed_columns_depend_on_each_other(mixed: TableModel, people: pd.DataFrame):
    evaluation = mixed.evaluate(people.drop(columns="group"))
    independent = evaluation.baselines["independent marginals"]
    assert independent.gain > 10 * independent.gain_standard_error > 0


def test_a_missing_label_is_filled_in_with_the_most_probable(mixed: TableModel, people: pd.DataFrame):
    truth = people.drop(columns="group")
    rows = truth.assign(town=None)
    filled = mixed.impute(rows).to_pandas()
    assert (filled.town == truth.town).mean() > 0.85
    assert set(filled.town) <= {"Aa", "Bb", "Cc"}
    drawn = mixed.impute(rows, draws=3).to_pandas()
    shares = drawn.town.value_counts(normalize=True)
    np.testing.assert_allclose(
        shares.sort_index(), truth.town.value_counts(normalize=True).sort_index(), atol=0.03
    )


def test_filled_cells_keep_to_grids_and_types(mixed: TableModel, people: pd.DataFrame):
    rows = people[:200].drop(columns="group")
    rows["children"] = rows.children.astype("Int64").mask(np.arange(200) % 2 == 0)
    table = mixed.impute(rows)
    assert table.schema.field("children").type == pa.int64()
    filled = table.to_pandas()
    assert (filled.children[1::2] == people.children[:200][1::2]).all()
    assert (filled.children >= -1).all()


def test_clusters_are_the_groups(people: pd.DataFrame):
    table = people.drop(columns="group")
    model = fit_table(table, "gmm", components=3, columns={"children": "integer"}).model
    batches = list(model.cluster(table))
    clusters = np.concatenate([batch.cluster for batch in batches])
    assert model.clusters == 3
    for batch in batches:
        np.testing.assert_allclose(batch.probabilities.sum(1), 1.0, atol=1e-12)
    table_of_both = pd.crosstab(people.group, clusters).to_numpy()
    assert table_of_both.max(1).sum() > 0.95 * len(people)


def test_clusters_of_what_is_no_mixture_are_refused(normal: pd.DataFrame):
    model = fit_table(normal, "ppca").model
    with pytest.raises(UsageError, match="not a mixture"):
        list(model.cluster(normal))


def test_samples_hold_labels_and_can_be_scored(mixed: TableModel, people: pd.DataFrame):
    sampled = mixed.sample(500, seed=3)
    assert sampled.schema.field("town").type == pa.Table.from_pandas(people[:1]).schema.field("town").type
    assert set(sampled.column("town").to_pylist()) == {"Aa", "Bb", "Cc"}
    assert set(map(str, sampled.column("member").to_pylist())) <= {"False", "True", "false", "true"}
    assert torch.isfinite(mixed.log_prob(sampled)).all()


def test_saved_and_loaded_it_is_the_same(mixed: TableModel, people: pd.DataFrame, tmp_path):
    save(mixed, tmp_path / "model")
    rows = people[:50].drop(columns="group").assign(town=None)
    again = load(tmp_path / "model")
    assert torch.equal(again.log_prob(rows), mixed.log_prob(rows))
    assert again.impute(rows).equals(mixed.impute(rows))


def test_all_else_passes_as_it_is(gaussian: TableModel, normal: pd.DataFrame):
    with pytest.raises(DataError, match="does not know"):
        gaussian.impute(normal.assign(more=1.0))
    table = normal[:60].assign(name=[f"n{index}" for index in range(60)], unit="kg", when="2026-01-01")
    table.loc[::3, "unit"] = None
    model = fit_table(table, "gaussian", columns={"when": "drop", "name": "identifier"}).model
    holes = table.copy()
    holes.loc[4, "large"] = np.nan
    filled = model.impute(holes).to_pandas()
    assert filled.columns.tolist() == table.columns.tolist()
    assert filled.name.tolist() == table.name.tolist()
    assert filled.when.tolist() == table.when.tolist()
    assert set(filled.unit) == {"kg"}
    assert not filled.large.isna().any()


def test_the_name_of_the_draw_may_be_taken(normal: pd.DataFrame):
    table = normal.assign(draw=np.random.default_rng(0).normal(size=len(normal)))
    model = fit_table(table, "gaussian").model
    with pytest.raises(UsageError, match="draw"):
        model.impute(table, draws=2)
    assert model.impute(table).num_rows == len(table)


@pytest.mark.parametrize("draws", [0, -1])
def test_no_draws_are_refused(gaussian: TableModel, normal: pd.DataFrame, draws: int):
    with pytest.raises(UsageError):
        gaussian.impute(normal, draws=draws)


def test_a_fraction_among_whole_numbers_is_named(mixed: TableModel, people: pd.DataFrame):
    rows = people[:3].drop(columns="group")
    with pytest.raises(DataError, match=r"2\.5 in a column of whole numbers") as error:
        mixed.impute(rows.assign(children=[1.0, 2.5, 3.0]))
    assert error.value.row == 2


def test_sizes_are_of_models_that_have_them(normal: pd.DataFrame):
    with pytest.raises(UsageError, match="components"):
        fit_table(normal, "gaussian", components=3)
    with pytest.raises(UsageError, match="latent"):
        fit_table(normal, "gmm", latent=1)
    with pytest.raises(UsageError, match="components"):
        fit_table(normal, components=3)
    assert fit_table(normal, "ppca", latent=1).model.density.model.latent == 1
    model = fit_table(normal, "mppca", components=2, latent=1).model.density.model
    assert (model.components, model.latent) == (2, 1)


def test_text_that_differs_in_every_row_is_left_out(normal: pd.DataFrame):
    table = normal[:50].assign(text=[f"text {index}" for index in range(50)])
    result = fit_table(table, "gaussian")
    assert result.model.schema.modelled_names == list(normal.columns)
    assert "column 'text' is left out: names the row (every row has a different text)" in result.notes
    assert "log p is that of the other columns" in result.notes


def test_a_flow_refuses_labels(people: pd.DataFrame):
    with pytest.raises(DataError, match="'town', 'member' hold labels, which nsf cannot model") as error:
        fit_table(people, "nsf")
    assert "--columns town=drop,member=drop" in error.value.fix


def test_spaces_around_labels_do_not_count(people: pd.DataFrame):
    padded = people.assign(town=" " + people.town)
    column = next(column for column in infer_schema(padded).columns if column.name == "town")
    assert (column.kind, column.levels) == (Kind.CATEGORICAL, ["Aa", "Bb", "Cc"])


def test_numbers_can_be_labels():
    table = pd.DataFrame({"zip": [1, 2, 2, 1, 2, 1, 1, 1, 1, 2]})
    model = fit_table(table, "gaussian", columns={"zip": "categorical"}).model
    np.testing.assert_allclose(model.log_prob(table).exp()[:2], [0.6, 0.4], atol=0.02)


def test_an_infinite_value_is_named(holes: pd.DataFrame):
    table = holes.copy()
    table.loc[7, "large"] = np.inf
    with pytest.raises(DataError, match="inf") as error:
        fit_table(table, "gmm")
    assert (error.value.row, error.value.column) == (8, "large")


def test_a_column_that_follows_from_others_is_named(holes: pd.DataFrame):
    twice = holes.assign(twice=2.0 * holes.large + 1.0)
    with pytest.raises(DataError, match="linear combination") as error:
        fit_table(twice, "gmm")
    assert error.value.column in ("large", "twice")


def test_a_family_that_needs_more_columns_says_so(normal: pd.DataFrame):
    with pytest.raises(DataError, match="ppca needs 2 columns or more"):
        fit_table(normal[["large"]], "ppca")


def test_a_column_without_a_value_is_left_out():
    rows = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50), "nothing": np.nan})
    result = fit_table(rows, "gaussian")
    assert result.model.schema.modelled_names == ["x"]
    assert "column 'nothing' is left out: no value in any row (every cell is missing)" in result.notes
