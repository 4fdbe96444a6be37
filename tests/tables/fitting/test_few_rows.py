"""With few rows nothing is set aside, and what is reported is near what fresh rows get."""

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.tables import fit_table
from logpx.tables.families.shrinkage import cautious_normal


@pytest.mark.parametrize(("rows", "columns"), [(6, 2), (8, 3), (15, 1)])
def test_what_is_reported_is_near_what_fresh_rows_get(rows, columns):
    reported, fresh = [], []
    for seed in range(3):
        generator = np.random.default_rng(seed)
        result = fit_table(generator.normal(size=(rows, columns)), seed=seed)
        reported.append(result.chosen.validation)
        fresh.append(result.model.evaluate(generator.normal(size=(1000, columns))).mean)
        assert result.validation_rows == 0
        assert "aside" not in " ".join([result.measured, *result.notes])
    truth = -columns * stats.norm.entropy()
    assert np.mean(fresh) == pytest.approx(truth, abs=1.0 + 0.4 * columns)
    assert np.mean(reported) == pytest.approx(np.mean(fresh), abs=1.0 + 0.4 * columns)


def test_how_the_score_was_found_is_said():
    x = np.random.default_rng(0).normal(size=(14, 1))
    assert fit_table(x).measured == "14 rows by 5-fold cross-validation"
    assert fit_table(x[:3]).measured == "3 rows by leaving one out"
    assert fit_table(x[:2]).measured == "the 2 rows that it was fitted to"
    assert fit_table(np.tile(x, (4, 1)) + np.arange(56)[:, None], "gaussian").measured == (
        "14 rows set aside to choose by"
    )


def test_the_covariance_is_as_wide_as_rows_left_out_require():
    x = torch.randn(7, 1, generator=torch.Generator().manual_seed(0)).double()
    model = cautious_normal(x, 7)
    distances = []
    for row in range(7):
        others = torch.cat([x[:row], x[row + 1 :]])
        distances.append(float((x[row] - others.mean()) ** 2 / others.var(correction=0)))
    expected = max(1.0, np.mean(distances)) * float(x.var(correction=0))
    assert model.covariances[0].item() == pytest.approx(expected)
