"""A best guess lies within the range of what the model was fitted to; draws need not."""

import numpy as np
import pytest
import torch

from logpx.distributions import OrderAgnostic
from logpx.distributions.columns import NumberColumn
from logpx.tables import Support, fit_table
from logpx.tables.completion import completed_rows, within_observed
from logpx.tables.density import CellDensity


def test_a_best_guess_stays_within_the_fitted_range():
    generator = np.random.default_rng(0)
    a = generator.normal(size=300)
    x = np.stack([a, np.exp(3.0 * a + 0.1 * generator.normal(size=300))], 1)
    model = fit_table(np.where(generator.random(x.shape) < 0.05, np.nan, x), "gaussian").model
    known = x[~np.isnan(x[:, 1])]
    far = {"x0": [9.0, -9.0, 0.0], "x1": [np.nan] * 3}
    guesses = model.impute(far).to_pandas()["x1"].to_numpy()
    assert known[:, 1].min() <= guesses.min() <= guesses.max() <= known[:, 1].max()
    assert guesses[0] > 100 * guesses[2] > 0.0
    assert model.impute(far, draws=5).to_pandas()["x1"].max() > guesses[0]


def test_labels_and_columns_of_unknown_range_are_left_alone():
    model = fit_table({"a": np.arange(50.0) ** 1.5, "b": ["x", "y"] * 25}, "gaussian").model
    columns = [model.schema.columns[0].model_copy(update={"minimum": None, "maximum": None})]
    x = torch.tensor([[1e9, 1.0]], dtype=torch.float64)
    assert torch.equal(within_observed(x, [*columns, model.schema.columns[1]]), x)
    assert within_observed(x, model.schema.columns)[0, 0].item() == 49.0**1.5


def test_a_best_guess_of_cells_with_heavy_tails_is_the_mean_within_the_observed_range():
    column = NumberColumn()
    column.initialise(torch.from_numpy(np.random.default_rng(0).standard_cauchy(500) + 2.0))
    density = CellDensity([Support()], OrderAgnostic([column], width=8, blocks=1)).eval()
    gone = torch.full((1, 1), torch.nan, dtype=torch.float64)
    guess = completed_rows(density, gone, observed=([-3.0], [9.0])).item()
    drawn = density.sample(20_000, seed=0).clamp(-3.0, 9.0).mean().item()
    assert guess == pytest.approx(drawn, abs=0.15)
