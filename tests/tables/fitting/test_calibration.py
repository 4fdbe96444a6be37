"""Rows that a fitted table model has not seen: how many, and whether p-values by them are uniform."""

import numpy as np
import pytest
from scipy import stats

from logpx.tables import fit_table


def rows(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3)) @ [[1.0, 0.9, 0.0], [0.0, 0.4, 0.2], [0.0, 0.0, 1.0]]
    x[:, 2] = np.exp(x[:, 2])
    x[:, 1] = x[:, 1].round(1)
    return x


def test_all_rows_count_if_there_is_time() -> None:
    model = fit_table(rows(500, 0), "gaussian").model
    assert model.calibration.source == "500 rows, by 5-fold cross-fitting"
    assert model.calibration.rows == 500
    new = model.log_prob(rows(500, 1))
    assert stats.ks_2samp(model.calibration.scores.numpy(), new.numpy()).pvalue > 0.01


def test_else_the_rows_set_aside_count() -> None:
    model = fit_table(rows(500, 0), "gaussian", max_time=0.01).model
    assert model.calibration.source == "125 rows set aside"


def test_rows_of_a_second_table_count() -> None:
    model = fit_table(rows(300, 0), "gaussian", validation=rows(77, 2)).model
    assert model.calibration.source == "77 rows of the validation table"


@pytest.mark.parametrize("count", [12, 30])
def test_few_rows_count_by_cross_validation(count: int) -> None:
    model = fit_table(rows(count, 0), "gaussian").model
    assert model.calibration.rows == count


def test_there_is_no_calibration_by_rows_that_the_model_has_seen() -> None:
    model = fit_table(np.random.default_rng(0).normal(size=(9, 2)), "maf", max_time=1).model
    assert model.calibration is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["gaussian", "gmm", "ppca", "fa", "mppca", "nsf", "autoregressive", "vae", "auto"]
)
def test_p_values_of_every_family_are_uniform(family: str) -> None:
    model = fit_table(rows(4000, 3), family, max_time=40).model
    new = model.log_prob(rows(2000, 4))
    assert stats.ks_2samp(model.calibration.scores.numpy(), new.numpy()).pvalue > 0.01


def test_a_column_that_varies_in_one_fold_alone_leaves_all_rows_to_calibrate_by() -> None:
    x = np.random.default_rng(0).normal(size=(300, 3)) @ np.triu(np.ones((3, 3)))
    x[:, 2] = 7.0
    x[123, 2] = 8.5
    model = fit_table(x, "gaussian", max_time=20).model
    assert model.calibration.source == "300 rows, by 5-fold cross-fitting"
    assert model.calibration.scores.isfinite().all()
