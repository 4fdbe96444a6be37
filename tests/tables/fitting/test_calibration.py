"""Rows that a fitted table model has not seen: how many, and whether p-values by them are uniform."""

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.tables import fit_table
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.support import Support
from logpx.tables.fitting.maps import refitted_maps


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


def test_a_model_trained_by_gradient_descent_is_trained_anew_without_parts_of_the_rows() -> None:
    x = rows(300, 0)
    model = fit_table(x, "maf", max_steps=40).model
    assert model.calibration.source == "150 rows, by 2 fits without a part of them each"
    assert model.calibration.rows == model.unusualness.calibration.rows == 150
    seen = model.log_prob(x).mean()
    new = model.log_prob(rows(4000, 1)).mean()
    calibrated = model.calibration.scores.mean()
    # Each by a model that has seen it, they would be like the former.
    assert abs(calibrated - new) < 0.3
    assert seen > new


def test_scales_of_columns_are_fitted_without_the_rows_that_are_scored() -> None:
    x = torch.from_numpy(np.random.default_rng(0).lognormal(size=(200, 1)) ** 2)
    supports = [Support(lower=0.0)]
    both = {
        "standard": ColumnScales.standard(x.numpy(), supports),
        "chosen": ColumnScales.fit(x.numpy(), supports),
    }
    again = refitted_maps(x[:100], supports, both, seed=0)
    for name, scales in again.items():
        assert type(scales.scales[0]) is type(both[name].scales[0])
        assert not torch.equal(scales(x)[0], both[name](x)[0])
    apart = x.clone()
    apart[100:] += 1.0
    assert torch.equal(
        refitted_maps(apart[:100], supports, both, seed=0)["chosen"](x)[0], again["chosen"](x)[0]
    )


def test_a_column_that_varies_in_no_other_row_keeps_its_scale() -> None:
    x = torch.tensor([[1.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    own = x.numpy(), [Support()]
    both = {"standard": ColumnScales.standard(*own), "chosen": ColumnScales.fit(*own)}
    again = refitted_maps(x[:2], [Support()], both, seed=0)
    assert all(torch.equal(again[name](x)[0], both[name](x)[0]) for name in both)


def test_few_rows_of_which_a_fold_is_passed_over_are_judged_by_the_others() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[:, 1] = 3.0
    x[7, 1] = 4.0
    model = fit_table(x, "gaussian", max_time=5).model
    assert model.calibration.rows == model.unusualness.calibration.rows == 24


def test_both_judges_of_few_rows_judge_the_same_row() -> None:
    x = rows(38, 5)
    x[3] = [9.0, -9.0, 50.0]
    model = fit_table(x, "gaussian", max_time=10).model
    # The row that is the most unusual to both is so to the two together, and no other is nearly.
    lowest, second = model.unusualness.calibration.scores[:2].tolist()
    assert lowest < second - 1.0


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
