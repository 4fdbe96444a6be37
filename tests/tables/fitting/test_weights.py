"""Rows count by a column of weights: in every fit, in what is measured, and not in scores."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import logpx
from logpx.errors import DataError, UsageError
from logpx.scoring import WeightedMean
from logpx.tables import Schema, TableModel, infer_schema
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget
from logpx.tables.families.mixtures import one_component
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.weighing import scaled
from logpx.tables.scales import Asinh, Atoms, Log, QuantileSpline, Standard, choose_scale
from logpx.tables.updating import update_table

ROWS = 300


def weights() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4, ROWS)


def weighted() -> pd.DataFrame:
    """Normal rows, so that their scales are linear, with their weights."""
    mixed = np.random.default_rng(0).normal(size=(ROWS, 3)) @ [
        [1.0, 0.5, -0.4],
        [0.0, 1.0, 0.7],
        [0.0, 0.0, 0.6],
    ]
    return pd.DataFrame(mixed, columns=["x", "y", "z"]).assign(w=weights())


def schema() -> Schema:
    return infer_schema(weighted().drop(columns="w"))


@pytest.mark.parametrize("family", ["gaussian", "ppca", "fa"])
def test_whole_weights_are_repeated_rows(family: str) -> None:
    """On linear scales: the choice among others is by rows left out, which repeated rows give away."""
    x, times = torch.tensor(weighted()[["x", "y", "z"]].to_numpy()), torch.from_numpy(weights())
    latent = None if family == "gaussian" else 1
    found = []
    for rows, w in ((x[times > 0], times[times > 0].double()), (x.repeat_interleave(times, 0), None)):
        budget = Budget(seconds=math.inf, rows=len(rows), kinds=["normal"] * 3, latent=latent)
        search = Search(schema(), rows, rows.clone(), budget, weights=w, weights_aside=w)
        search.refuse_redundant()
        search.run([FAMILIES[family]])
        (candidate,) = [one for one in search.candidates if one.scales == "standard"]
        alone = search.baselines()["full-covariance Gaussian"].log_prob(x)
        search.refit([candidate])
        found.append((candidate.score, candidate.density.log_prob(x), alone))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-9)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert torch.allclose(found[0][2], found[1][2], atol=1e-9)


@pytest.mark.parametrize("holes", [False, True])
def test_steps_of_em_of_a_mixture_are_those_of_repeated_rows(holes: bool) -> None:
    x = torch.tensor(weighted()[["x", "y", "z"]].to_numpy())
    if holes:
        x[::5, 1] = torch.nan
    times = torch.from_numpy(weights())
    models = []
    for rows, w in ((x, times.double()), (x.repeat_interleave(times, 0), None)):
        model = logpx.latent.GaussianMixture(2, 3).double()
        model.initialise_components(x, 0)
        for _ in range(5):
            model.update(model.statistics(rows, w))
        models.append(model)
    assert torch.allclose(models[0].log_prob(x), models[1].log_prob(x), atol=1e-9)


def test_one_component_is_the_maximum_of_repeated_rows() -> None:
    x, w = torch.tensor(weighted()[["x", "y", "z"]].to_numpy()), torch.from_numpy(weights())
    kinds = ["normal"] * 3
    one, _ = one_component(x[w > 0], kinds, deadline=math.inf, weights=scaled(w[w > 0].double()))
    other, _ = one_component(x.repeat_interleave(w, 0), kinds, deadline=math.inf)
    assert torch.allclose(one.log_prob(x), other.log_prob(x), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["maf", "vae", "autoregressive", "gmm"])
def test_gradient_descent_sees_the_weighted_distribution(family: str) -> None:
    # Two thirds of the rows are at 0, but those at 3 weigh ten times as much.
    rng = np.random.default_rng(2)
    high = rng.random(900) < 1 / 3
    values = rng.normal(size=900) * 0.5 + np.where(high, 3.0, 0.0)
    table = pd.DataFrame({"v": values, "u": rng.normal(size=900), "w": np.where(high, 10.0, 1.0)})
    result = logpx.fit(family, table, weights="w", max_steps=150, seed=0)
    drawn = result.model.sample(2000, seed=0).to_pandas()
    # The share is 5/6; a third, if weights were ignored.
    assert abs(float((drawn.v > 1.5).mean()) - 5 / 6) < 0.1
    assert "weighted by 'w'" in result.measured


def test_scales_are_those_of_repeated_rows() -> None:
    values = np.random.default_rng(3).lognormal(size=ROWS)
    times = weights()
    many = np.repeat(values, times)
    at = torch.linspace(0.3, 5.0, 9, dtype=torch.float64)
    for fit in (Standard.fit, lambda *x: Log.fit(*x, bound=0.0)):
        assert torch.allclose(fit(values, times)(at)[0], fit(many)(at)[0])
    # Repeated rows tell as much as weighted ones only where nothing depends on their number.
    for fit in (Asinh.fit, QuantileSpline.fit):
        assert torch.allclose(fit(values, times)(at)[0], fit(many)(at)[0], atol=0.1)
    spiked = np.where(times == 3, 0.0, values)
    inner = Log.fit(values, bound=0.0)
    one = Atoms.fit(spiked, times, inner=inner, atoms=[0.0]).masses[0]
    assert float(one) == pytest.approx(float((times * (spiked == 0)).sum() / times.sum()), abs=0.005)
    chosen, report = choose_scale(values, np.maximum(times, 1), lower=0.0)
    assert type(chosen) is type(choose_scale(values, lower=0.0)[0])
    assert report


def test_weighted_means_and_their_errors() -> None:
    rng = np.random.default_rng(4)
    values, times = torch.from_numpy(rng.normal(size=500)), torch.from_numpy(rng.gamma(1.0, size=500))
    whole, parts = WeightedMean(), WeightedMean()
    whole.add(values, times)
    for part, w in zip(values.split(33), times.split(33), strict=True):
        parts.add(part, 7.0 * w)
    assert whole.value == pytest.approx(np.average(values, weights=times))
    assert parts.value == pytest.approx(whole.value)
    assert parts.standard_error == pytest.approx(whole.standard_error)
    # The bootstrap knows no formula.
    drawn = [np.average(values[i], weights=times[i]) for i in rng.integers(0, 500, (1000, 500))]
    assert whole.standard_error == pytest.approx(float(np.std(drawn)), rel=0.1)
    alike = WeightedMean()
    alike.add(values)
    assert alike.standard_error == pytest.approx(float(values.std()) / math.sqrt(500))


def test_only_ratios_of_weights_matter() -> None:
    table = weighted()
    few = table.assign(w=table.w * 1e-7)
    found = [
        logpx.fit("gmm", each, weights="w", components=2, max_steps=20).model.log_prob(table)
        for each in (table, few)
    ]
    assert torch.allclose(found[0], found[1], atol=1e-6)


def test_a_model_remembers_the_column_of_weights() -> None:
    table = weighted()
    result = logpx.fit("gaussian", table, weights="w", max_steps=50)
    model = result.model
    assert isinstance(model, TableModel)
    assert model.schema.modelled_names == ["x", "y", "z"]
    assert "weighted by 'w'" in str(result.verdict)
    assert any("effective" in note or "count alike" in note for note in result.notes)
    # Scores ignore it, whatever it holds; what is a mean over rows does not.
    assert torch.equal(model.log_prob(table), model.log_prob(table.assign(w="?")))
    assert any("weighted by 'w'" in note for note in model.evaluate(table).notes)
    without = model.evaluate(table.drop(columns="w"))
    assert any("lacks the column 'w'" in note for note in without.notes)
    scores = model.log_prob(table).numpy()
    assert model.evaluate(table).mean == pytest.approx(np.average(scores, weights=table.w))
    assert without.mean == pytest.approx(scores.mean())
    other = logpx.fit("gmm", table, weights="w", components=2, max_steps=50).model
    board = logpx.compare({"one": model, "two": other}, table)
    entry = next(entry for entry in board.entries if entry.name == "one")
    assert entry.mean == pytest.approx(model.evaluate(table).mean)
    assert any("weighted by 'w'" in note for note in board.notes)
    with pytest.raises(UsageError, match="is not updated"):
        update_table(model, table)


@pytest.mark.parametrize("known_first", [True, False])
@pytest.mark.parametrize("as_array", [True, False])
def test_models_are_compared_where_one_does_not_know_the_weights(known_first: bool, as_array: bool) -> None:
    table = weighted()
    one = logpx.fit("gaussian", table, weights="w", max_steps=50).model
    other = logpx.fit("gaussian", table[["x", "y", "z"]], max_steps=50).model
    models = {"one": one, "other": other}
    if not known_first:
        models = dict(reversed(models.items()))
    board = logpx.compare(models, table[one.schema.names].to_numpy() if as_array else table)
    means = {entry.name: entry.mean for entry in board.entries}
    assert means["one"] == pytest.approx(one.log_prob(table).mean().item())
    assert means["other"] == pytest.approx(other.log_prob(table[["x", "y", "z"]]).mean().item())
    assert any("rows count alike" in note for note in board.notes)
    with pytest.raises(DataError, match="does not know this column"):
        logpx.compare(models, table.assign(further=1.0))


def test_weights_may_be_given_as_numbers() -> None:
    table = weighted()
    one = logpx.fit("gaussian", table, weights="w", max_steps=50).model
    other = logpx.fit("gaussian", table[["x", "y", "z"]], weights=table.w, max_steps=50).model
    assert torch.allclose(one.log_prob(table), other.log_prob(table[["x", "y", "z"]]))


@pytest.mark.parametrize(
    ("value", "message"),
    [(-1.0, "the weight is -1"), (None, "the weight is missing"), (math.inf, "the weight is inf")],
)
def test_bad_weights_are_refused_with_their_row(value: float | None, message: str) -> None:
    table = weighted()
    table["w"] = table.w.astype(float)
    table.loc[7, "w"] = value
    with pytest.raises(DataError, match=message) as caught:
        logpx.fit("gaussian", table, weights="w")
    assert caught.value.row == 8
    assert caught.value.column == "w"


def test_other_bad_weights_are_refused() -> None:
    table = weighted()
    with pytest.raises(DataError, match="every weight is 0"):
        logpx.fit("gaussian", table.assign(w=0), weights="w")
    with pytest.raises(DataError, match="number"):
        logpx.fit("gaussian", table.assign(w="heavy"), weights="w")
    with pytest.raises(UsageError, match="no such column to weigh the rows") as caught:
        logpx.fit("gaussian", table, weights="W")
    assert "w" in str(caught.value.fix)
    with pytest.raises(UsageError, match="weigh the rows, and to be"):
        logpx.fit("gaussian", table, weights="w", columns={"w": "integer"})
    with pytest.raises(DataError, match="lacks this column, which says how much"):
        logpx.fit("gaussian", table, validation=table.drop(columns="w"), weights="w")
    with pytest.raises(DataError, match="299 weights for 300 rows"):
        logpx.fit("gaussian", table.drop(columns="w"), weights=np.ones(ROWS - 1))
    with pytest.raises(UsageError, match="both to weigh"):
        infer_schema(table, {"w": "weight", "x": "weight"})


def test_effective_rows() -> None:
    budget = Budget(seconds=1.0, rows=4, kinds=["normal"], weights=torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert budget.effective_rows == 2
