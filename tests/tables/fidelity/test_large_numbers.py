"""Numbers far from 0, relative to how far they are apart, keep their values and their ends."""

import numpy as np
import pytest
import torch

from logpx.tables import fit_table, infer_schema

random = np.random.default_rng(0)
BIG = 5e17 + 1e8 * random.integers(0, 20, 300)
COLUMNS = {
    "few values": BIG,
    "a bound between two numbers of single precision": 1e9 + np.maximum(random.normal(size=300), -0.3),
}


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_large_numbers_are_fitted_scored_and_sampled_within_their_ends(values):
    model = fit_table({"a": values}, "gaussian", max_time=1).model
    assert torch.isfinite(model.log_prob({"a": values})).all()
    drawn = model.sample(200, seed=0)["a"].to_numpy()
    lower, upper = model.schema.columns[0].lower, model.schema.columns[0].upper
    assert lower == values.min()
    assert drawn.min() >= lower
    assert upper is None or drawn.max() <= upper


def test_atoms_do_not_swallow_their_neighbours():
    assert infer_schema({"a": BIG}).columns[0].atoms == []
