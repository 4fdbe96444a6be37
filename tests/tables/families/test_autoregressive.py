"""Tables fitted with the autoregressive family: every kind of column, exact numbers, new labels, stacks."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from logpx import load, save
from logpx.distributions import Mixture, OrderAgnostic
from logpx.distributions.columns import LabelColumn, NumberColumn, ValueColumn
from logpx.latent import MixedMixture
from logpx.tables import CellDensity, Column, ColumnScales, Kind, Schema, TableDensity, TableModel, fit_table
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.density import needs_noise
from logpx.tables.families.autoregressive import column_distribution


def steps(most: int) -> dict[str, Any]:
    """Return arguments of a fit that ends it after so many steps, however fast the machine is."""
    asked = itertools.count()
    return {"max_time": 3600, "should_stop": lambda: next(asked) > most}


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """Rows in which all columns depend on a town."""
    generator = np.random.default_rng(2)
    town = generator.integers(3, size=900)
    income = np.where(generator.random(900) < 0.3, 0.0, generator.lognormal(3.0 + town, 0.2))
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(7 * generator.integers(50, size=900) + town, unit="D")
    return pd.DataFrame(
        {
            "town": np.array(["Aa", "Bb", "Cc"])[town],
            "children": generator.poisson(1.0 + 2.0 * town),
            "income": income,
            "day": day,
            "height": generator.normal(170.0 + town, 8.0),
        }
    )


@pytest.fixture(scope="module")
def model(people: pd.DataFrame) -> TableModel:
    holes = people.mask(np.random.default_rng(3).random(people.shape) < 0.1)
    return fit_table(holes, "autoregressive", **steps(250)).model


def test_it_is_exact_and_beats_independent_columns(model: TableModel, people: pd.DataFrame):
    assert model.kind == "exact"
    evaluation = model.evaluate(people)
    assert evaluation.kind == "exact"
    assert evaluation.draws is None
    independent = evaluation.baselines["independent marginals"]
    assert independent.gain > 4 * independent.gain_standard_error > 0
    bound = model.log_prob_lower(people, draws=3)
    assert not bound.standard_error.any()
    torch.testing.assert_close(bound.log_prob, model.log_prob(people, seed=5))


def test_probabilities_of_a_discrete_table_sum_to_one():
    generator = np.random.default_rng(0)
    n = generator.integers(0, 4, 400)
    table = pd.DataFrame({"n": n, "ok": np.where(n + generator.integers(0, 2, 400) > 2, "yes", "no")})
    model = fit_table(table, "autoregressive", columns={"n": "bounded:0:3"}, **steps(60)).model
    every = pd.DataFrame([(n, ok) for n in range(4) for ok in ("yes", "no", "new")], columns=["n", "ok"])
    assert isinstance(model.density.model.columns[0], ValueColumn)
    assert float(model.log_prob(every).exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_rows_come_back_in_their_own_types(model: TableModel, people: pd.DataFrame):
    drawn = model.sample(300, seed=1).to_pandas()
    assert set(drawn.town) <= {"Aa", "Bb", "Cc"}
    assert drawn.children.min() >= 0
    assert (drawn.children % 1 == 0).all()
    assert (drawn.income == 0).mean() == pytest.approx(0.3, abs=0.1)
    assert drawn.income.min() == 0.0
    assert drawn.day.dtype == people.day.dtype
    assert model.log_prob(drawn).isfinite().all()
    holes = people[:40].mask(np.random.default_rng(0).random((40, 5)) < 0.4)
    for filled in (model.impute(holes), model.impute(holes, draws=1, seed=1)):
        filled = filled.to_pandas()[people.columns]
        assert not filled.isna().any().any()
        kept = ~holes.isna().to_numpy()
        assert (filled.to_numpy()[kept] == people[:40].to_numpy()[kept]).all()


def test_a_new_label_costs_nats_and_is_named(model: TableModel, people: pd.DataFrame):
    new = people[:3].assign(town="Dd")
    evaluation = model.evaluate(new)
    assert evaluation.outside == 0
    assert any("'Dd' is new" in note for note in evaluation.notes)
    assert bool((model.log_prob(new) < model.log_prob(people[:3]) - 1.0).all())


def test_it_survives_a_folder(model: TableModel, people: pd.DataFrame, tmp_path: Path):
    save(model, tmp_path / "model")
    copy = load(tmp_path / "model")
    assert copy.kind == "exact"
    assert torch.equal(copy.log_prob(people), model.log_prob(people))


def test_a_stack_with_dequantised_members_is_a_bound_of_the_mixture():
    schema = Schema(
        columns=[
            Column(name="n", kind=Kind.INTEGER, step=1.0, lower=0.0),
            Column(name="b", kind=Kind.CATEGORICAL, levels=["no", "yes"]),
        ]
    )
    rows = torch.stack([torch.arange(200) % 4, torch.arange(200) % 2], 1).double()
    supports = Supports.of(schema.modelled).supports
    cells = OrderAgnostic([ValueColumn([0.0, 1, 2, 3], lower=-0.5), LabelColumn(2)], width=8, blocks=1)
    cells.initialise(rows)
    columns = ColumnScales.fit(rows.numpy(), supports)
    noisy = TableDensity(columns, MixedMixture(1, ["normal", 2]).double())
    exact = CellDensity(supports, cells)
    model = TableModel(schema, Mixture([noisy, exact], [0.5, 0.5])).eval()
    assert model.kind == "lower bound"
    assert needs_noise(model.density)
    table = pd.DataFrame({"n": [0, 3, 9], "b": ["no", "yes", "no"]})
    bound = model.log_prob_lower(table, draws=4, seed=1)
    # One draw after another, without anything found in advance.
    each = [
        model.density.log_prob(
            model.supports.dequantise(torch.tensor([[0.0, 0], [3, 1], [9, 0]]), seed=1, draw=draw)
        )
        for draw in range(4)
    ]
    torch.testing.assert_close(bound.log_prob, torch.stack(each).mean(0), rtol=1e-6, atol=1e-6)
    assert TableModel(schema, exact).eval().kind == "exact"


def test_auto_stacks_it_by_held_out_likelihood(people: pd.DataFrame):
    result = fit_table(people, **steps(60))
    tried = {record.model for record in result.candidates}
    assert {"gaussian", "gmm", "autoregressive"} <= tried
    best = max(record.validation for record in result.candidates if "+" not in record.model)
    assert result.chosen.validation >= best


def test_few_rows_and_one_column():
    generator = np.random.default_rng(0)
    for table in (
        pd.DataFrame({"a": generator.normal(size=30), "b": ["x", "y", "z"] * 10}),
        pd.DataFrame({"a": [1.5, 2.5, None, 4.0] * 15}),
    ):
        model = fit_table(table, "autoregressive", **steps(20)).model
        assert model.log_prob(table).isfinite().all()
    result = fit_table(pd.DataFrame({"a": generator.normal(size=30)}), **steps(20))
    assert any("not tried" in note and "autoregressive" in note for note in result.notes)


@pytest.mark.parametrize(
    ("support", "values", "kind"),
    [
        (Support(), np.linspace(0, 1, 500), NumberColumn),
        (Support(lower=0.0, step=1.0), np.arange(500) % 90, ValueColumn),
        (Support(lower=0.0, step=1.0), np.arange(500), NumberColumn),
        (Support(step=0.5), np.arange(5) / 2, ValueColumn),
        (Support(lower=0.0, atoms=[1.0]), np.r_[np.ones(50), np.linspace(0.1, 2, 50)], NumberColumn),
    ],
)
def test_the_distribution_of_a_column(support: Support, values: np.ndarray, kind: type):
    column = column_distribution(support, torch.from_numpy(np.asarray(values, dtype=float)), len(values))
    assert type(column) is kind


@pytest.mark.parametrize("atom", [0.11118, 0.05])
@pytest.mark.parametrize("points", [99, 999])
def test_atoms_beside_a_grid_hold_mass_as_the_unit_of_every_family_has_it(atom: float, points: int):
    grid = np.arange(1, points + 1) * 0.001
    values = torch.from_numpy(np.r_[grid, np.full(points // 4, atom)].repeat(20))
    support = Support(lower=0.0, step=0.001, atoms=[atom])
    column = column_distribution(support, values, len(values))
    column.initialise(support.snap(values))
    everywhere = torch.from_numpy(np.unique(np.append((np.arange(4000) * 0.001).round(3), atom)))
    raw = torch.zeros(len(everywhere), column.outputs, dtype=torch.float64)
    at_atom = everywhere == atom
    log_mass = column.log_prob(raw, everywhere) + torch.where(at_atom, 0.0, math.log(0.001))
    beyond = 1.0 - column.cdf(raw[-1:], everywhere[-1:])
    assert log_mass.exp().sum() + beyond[0] == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(log_mass.exp().cumsum(0), column.cdf(raw, everywhere), atol=1e-6)
    assert log_mass[at_atom].exp().item() == pytest.approx(0.2, abs=0.03)


def test_spikes_on_a_wide_grid_hold_mass_of_their_own():
    values = torch.from_numpy(np.r_[np.arange(5000), np.full(300, 999.0)].astype(float))
    column = column_distribution(Support(lower=0.0, step=1.0), values, len(values))
    assert isinstance(column, NumberColumn)
    assert column.atoms.tolist() == [999.0]
    column.initialise(values)
    mass = column.log_prob(torch.zeros(1, column.outputs), torch.tensor([999.0]).double()).exp()
    assert float(mass) == pytest.approx(301 / 5300, rel=0.02)
