"""Tables fitted with a variational autoencoder: every kind of column, bounds, guesses, sizes, errors."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from logpx import load, save
from logpx.errors import DataError, UsageError
from logpx.latent import VAE
from logpx.tables import TableModel, fit_table
from logpx.tables.families.autoencoder import likelihood_of


def steps(most: int) -> dict[str, Any]:
    """Return arguments of a fit that ends it after so many steps, however fast the machine is."""
    asked = itertools.count()
    return {"max_time": 3600, "should_stop": lambda: next(asked) > most}


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """Rows of three groups, which all columns depend on."""
    generator = np.random.default_rng(2)
    group = generator.integers(3, size=1500)
    return pd.DataFrame(
        {
            "income": np.round(generator.lognormal(3.0 + group, 0.2), 4),
            "town": np.array(["Aa", "Bb", "Cc"])[np.where(generator.random(1500) < 0.95, group, 0)],
            "children": generator.poisson(1.0 + 2.0 * group),
            "member": generator.random(1500) < (0.1 + 0.4 * group),
        }
    )


@pytest.fixture(scope="module")
def model(people: pd.DataFrame) -> TableModel:
    holes = people.mask(np.random.default_rng(3).random(people.shape) < 0.1)
    result = fit_table(holes, "vae", latent=2, columns={"children": "integer"}, **steps(600))
    assert any("vae has no exact one" in note for note in result.notes)
    assert isinstance(result.model.density.model, VAE)
    assert result.model.density.model.latent == 2
    return result.model


def test_it_is_a_bound_and_beats_independent_columns(model: TableModel, people: pd.DataFrame):
    assert model.kind == "lower bound"
    evaluation = model.evaluate(people, exactness=16)
    assert evaluation.kind == "lower bound"
    independent = evaluation.baselines["independent marginals"]
    assert independent.gain > 4 * independent.gain_standard_error > 0


@pytest.mark.slow
def test_smooth_columns_too_have_a_bound_only(people: pd.DataFrame):
    table = people[["income"]].assign(
        second=np.log(people.income) + np.random.default_rng(0).normal(size=1500)
    )
    fitted = fit_table(table, "vae", **steps(300)).model
    assert not fitted.supports.gridded
    assert fitted.kind == "lower bound"
    scored = next(fitted.score(table))
    assert (scored.standard_error > 0.0).all()
    alone = fit_table(table[["second"]], "vae", **steps(20)).model
    assert math.isfinite(alone.evaluate(table[["second"]]).mean)


def test_labels_have_probabilities_and_missing_cells_none(model: TableModel):
    towns = pd.DataFrame({"income": np.nan, "town": ["Aa", "Bb", "Cc"], "children": np.nan, "member": None})
    # Bounds of probabilities that sum to 1.
    assert 0.6 < model.log_prob(towns, exactness=5000).exp().sum().item() < 1.05
    nothing = towns.assign(town=None)
    assert model.log_prob(nothing, exactness=50).abs().max() < 1e-12


def test_a_label_that_the_model_does_not_know_is_impossible(model: TableModel, people: pd.DataFrame):
    rows = people[:3].assign(town=["Aa", "Nowhere", None])
    for exactness in (None, 50):
        assert model.log_prob(rows, exactness=exactness).isneginf().tolist() == [False, True, False]
    assert model.evaluate(rows).outside == 1
    filled = model.impute(rows.assign(income=np.nan)).to_pandas()
    assert filled.town[1] == "Nowhere"
    assert (filled.income > 0.0).all()


def test_a_missing_label_is_filled_in_with_the_most_probable(model: TableModel, people: pd.DataFrame):
    rows = people.assign(town=None)
    assert (model.impute(rows).to_pandas().town == people.town).mean() > 0.6
    drawn = model.impute(rows, draws=2, seed=1)
    assert drawn.equals(model.impute(rows, draws=2, seed=1))
    shares = drawn.to_pandas().town.value_counts(normalize=True)
    np.testing.assert_allclose(
        shares.sort_index(), people.town.value_counts(normalize=True).sort_index(), atol=0.12
    )


def test_filled_numbers_keep_to_their_grid(model: TableModel, people: pd.DataFrame):
    rows = people.assign(children=people.children.astype("Int64").mask(np.arange(1500) % 2 == 0))
    filled = model.impute(rows).to_pandas()
    assert filled.children.dtype == np.int64
    assert (filled.children[1::2] == people.children[1::2]).all()
    hidden = people.children[::2]
    assert ((filled.children[::2] - hidden) ** 2).mean() < 0.8 * hidden.var()


def test_samples_are_rows_of_such_a_table(model: TableModel, people: pd.DataFrame):
    drawn = model.sample(3000, seed=3)
    assert model.sample(10, seed=3).equals(drawn.slice(0, 10))
    assert torch.isfinite(model.log_prob(drawn)).all()
    frame = drawn.to_pandas()
    assert set(frame.town) == {"Aa", "Bb", "Cc"}
    # The frame holds whole numbers with holes as float64, and so do samples.
    assert (frame.children == frame.children.round()).all()
    np.testing.assert_allclose(
        frame.town.value_counts(normalize=True).sort_index(),
        people.town.value_counts(normalize=True).sort_index(),
        atol=0.12,
    )


def test_saved_and_loaded_it_is_the_same(model: TableModel, people: pd.DataFrame, tmp_path):
    save(model, tmp_path / "model")
    rows = people[:50].assign(town=None)
    again = load(tmp_path / "model")
    assert again.kind == "lower bound"
    assert torch.equal(again.log_prob(rows), model.log_prob(rows))
    assert torch.equal(again.log_prob(rows, exactness=40), model.log_prob(rows, exactness=40))
    assert again.impute(rows).equals(model.impute(rows))


def test_there_are_no_clusters(model: TableModel, people: pd.DataFrame):
    with pytest.raises(UsageError, match="not a mixture"):
        list(model.cluster(people))


def test_codes_and_numbers_keep_their_columns():
    likelihood = likelihood_of([3, "normal", "normal", 2])
    cells = likelihood(torch.zeros(1, likelihood.outputs)).log_prob_of_cells(torch.zeros(1, 4))[0]
    normal = -0.5 * math.log(2.0 * math.pi)
    np.testing.assert_allclose(cells.detach(), [-math.log(3), normal, normal, -math.log(2)], atol=1e-6)
    assert likelihood_of(["normal", "normal"]).event_shape == likelihood_of([2, 3]).event_shape == (2,)


@pytest.mark.parametrize("latent", [0, -1])
def test_no_latent_dimension_is_refused(people: pd.DataFrame, latent: int):
    with pytest.raises(UsageError, match="latent"):
        fit_table(people, "vae", latent=latent)


def test_tables_that_no_density_exists_on(people: pd.DataFrame):
    with pytest.raises(DataError, match="one row"):
        fit_table(people[:1].assign(income=1.0), "vae", columns={"town": "drop", "member": "drop"})
    constant = people.assign(country="x", income=people.income)[:300]
    result = fit_table(constant, "vae", **steps(20))
    assert "country" not in result.model.schema.modelled_names


def test_training_begins_at_the_shares_of_labels() -> None:
    generator = np.random.default_rng(0)
    table = {
        "x": generator.normal(size=400),
        "rare": generator.random(400) < 0.06,
        "town": generator.choice(["Aa", "Bb", "Cc"], 400, p=[0.8, 0.15, 0.05]),
    }
    drawn = fit_table(table, "vae", **steps(2)).model.sample(3000).to_pandas()
    assert drawn.rare.mean() == pytest.approx(table["rare"].mean(), abs=0.03)
    assert (drawn.town == "Aa").mean() == pytest.approx((table["town"] == "Aa").mean(), abs=0.05)
