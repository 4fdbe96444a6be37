"""A forest is that of scikit-learn, and stays so whatever is in its tensors."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesRegressor

from logpx.errors import UsageError
from logpx.nets import Forest


def rows(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    x[:, 2] = (5 * x[:, 2]).floor()
    return x, torch.stack([x[:, 0] * x[:, 2], x[:, 1].square()], 1)


def test_predictions_are_those_of_scikit_learn():
    # Cells at the knots of 257 rows, where a rank is the number of the knot.
    x, y = rows(257)
    x[:, 2] = torch.randperm(257, generator=torch.Generator().manual_seed(1)).double()
    forest, unseen = Forest.grown(x, y, trees=30, seed=7)
    ranks = torch.stack([column.argsort().argsort() / 256 for column in x.T], 1).float().numpy()
    options = {"min_samples_split": 5, "max_features": 3, "bootstrap": True, "max_samples": 257}
    theirs = ExtraTreesRegressor(30, oob_score=True, random_state=7, **options).fit(ranks, y.numpy())
    np.testing.assert_allclose(forest(x).numpy(), theirs.predict(ranks), atol=1e-6)
    np.testing.assert_allclose(unseen.numpy(), theirs.oob_prediction_, atol=1e-12)


def test_rows_are_predicted_without_the_trees_that_have_seen_them():
    x, _ = rows()
    noise = torch.randn(len(x), 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    forest, unseen = Forest.grown(x, noise, trees=40, seed=0)
    seen = forest(x)
    assert float(torch.corrcoef(torch.cat([seen, noise], 1).T)[0, 1]) > 0.8
    assert abs(float(torch.corrcoef(torch.cat([unseen, noise], 1).T)[0, 1])) < 0.2


def test_missing_cells_are_values_of_their_own():
    x, _ = rows()
    gone = torch.rand(len(x), generator=torch.Generator().manual_seed(3)) < 0.3
    y = torch.where(gone, 4.0, x[:, 1])[:, None]
    forest, unseen = Forest.grown(
        x.masked_fill(gone[:, None] & torch.tensor([True, False, False]), torch.nan), y, trees=40, seed=0
    )
    assert float((unseen - y).abs().mean()) < 0.1
    assert float(forest(torch.tensor([[torch.nan, 0.5, 0.0]]).double())) == pytest.approx(4.0, abs=0.1)


def test_a_step_beside_a_value_that_repeats_changes_little():
    x, y = rows()
    forest, _ = Forest.grown(x, y, trees=30, seed=0)
    torch.testing.assert_close(forest(x + 1e-12), forest(x), atol=1e-2, rtol=0)


def test_numbers_that_are_no_nodes_cannot_lead_outside():
    x, y = rows()
    forest, _ = Forest.grown(x, y, trees=5, seed=0)
    for buffer in (forest.below, forest.columns, forest.roots, forest.depth):
        buffer.fill_(2**31 - 1)
    assert forest(x).shape == (len(x), 2)


def test_counts_that_make_no_sense():
    with pytest.raises(UsageError, match="trees"):
        Forest(2, 0, 1)
