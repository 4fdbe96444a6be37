"""A best guess lies within the range of what the model was fitted to; draws need not."""

import numpy as np
import torch

from logpx.tables import fit_table
from logpx.tables.completion import within_observed


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
