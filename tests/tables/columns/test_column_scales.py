import json
import math

import numpy as np
import pytest
import torch

from logpx.configuration import build, class_name, describe
from logpx.errors import DataError, UsageError
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.fitting.maps import column_maps
from logpx.tables.scales import SCALES, Log, Standard
from logpx.training.journal import journal_of

REGISTRY = {**SCALES, class_name(ColumnScales): ColumnScales, class_name(Support): Support}
SUPPORTS = [Support(), Support(lower=0.0), Support(lower=0.0, step=1.0), Support(lower=0.0, upper=1.0)]


def table(rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    columns = [
        rng.standard_t(3, rows),
        rng.lognormal(2, 1, rows),
        rng.poisson(2.0, rows),
        1 / (1 + np.exp(-rng.normal(0, 1.5, rows))),
    ]
    return np.stack(columns, 1).astype(float)


@pytest.fixture(scope="module")
def columns():
    return ColumnScales.fit(table(), SUPPORTS, seed=1)


def test_rows_are_mapped_column_by_column(columns):
    x = Supports(SUPPORTS).dequantise(torch.from_numpy(table(100)), seed=0)
    y, ladj = columns(x)
    expected = [scale(x[:, index]) for index, scale in enumerate(columns.scales)]
    assert torch.equal(y, torch.stack([value for value, _ in expected], 1))
    torch.testing.assert_close(ladj, torch.stack([slope for _, slope in expected], 1).sum(1))


def test_log_abs_det_is_that_of_the_jacobian(columns):
    x = Supports(SUPPORTS).dequantise(torch.from_numpy(table(20, seed=3)), seed=0)
    jacobian = torch.func.jacrev(lambda row: columns(row[None])[0][0])
    _, ladj = columns(x)
    for row, value in zip(x, ladj, strict=True):
        assert torch.linalg.slogdet(jacobian(row))[1].item() == pytest.approx(value.item(), abs=1e-9)


def test_model_space_is_standardised(columns):
    y, _ = columns(Supports(SUPPORTS).dequantise(torch.from_numpy(table()), seed=0))
    assert y.mean(0).abs().max() < 0.05
    assert (y.std(0) - 1).abs().max() < 0.05


def test_round_trip_snaps_to_the_grid(columns):
    x = torch.from_numpy(table(500))
    noisy = Supports(SUPPORTS).dequantise(x, seed=0)
    y, _ = columns(noisy)
    torch.testing.assert_close(columns.inverse(y, snap=False), noisy, rtol=1e-9, atol=1e-9)
    back = columns.inverse(y)
    assert torch.equal(back[:, 2], x[:, 2])
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [ColumnScales.fit, ColumnScales.standard], ids=["chosen", "standard"])
def test_whatever_a_model_samples_lies_in_the_support(kind):
    columns = kind(table(), SUPPORTS)
    y = torch.randn(2000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 10
    x = columns.inverse(y)
    assert torch.isfinite(x).all()
    assert (x[:, 1:] >= 0).all()
    assert (x[:, 3] <= 1).all()
    assert torch.equal(x[:, 2], x[:, 2].round())


def test_batches_do_not_matter(columns):
    x = Supports(SUPPORTS).dequantise(torch.from_numpy(table(40_000)), seed=0)
    y, ladj = columns(x)
    parts = [columns(part) for part in x.split(999)]
    torch.testing.assert_close(torch.cat([part for part, _ in parts]), y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.cat([part for _, part in parts]), ladj, rtol=1e-12, atol=1e-12)


def test_no_rows(columns):
    y, ladj = columns(torch.empty(0, 4))
    assert y.shape == (0, 4)
    assert ladj.shape == (0,)
    assert columns.inverse(y).shape == (0, 4)


def test_outside_a_support_the_log_abs_det_is_minus_infinity():
    scale = Log.fit(table()[:, 1], bound=0.0)
    y, ladj = ColumnScales([scale], [Support(lower=0.0)])(torch.tensor([[-1.0], [0.0], [1.0]]))
    assert torch.isfinite(y).all()
    assert ladj[:2].tolist() == [-math.inf, -math.inf]
    assert math.isfinite(ladj[2])


def test_standard_columns_keep_linear_relations():
    x = np.random.default_rng(0).standard_t(2, (4000, 2))
    x = np.column_stack([x, 3 * x[:, 0] - 2 * x[:, 1] + 7])
    columns = ColumnScales.standard(x, [Support()] * 3)
    y, ladj = columns(torch.from_numpy(x))
    assert all(isinstance(scale, Standard) for scale in columns.scales)
    np.testing.assert_allclose(y.numpy(), (x - x.mean(0)) / x.std(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ladj.numpy(), -np.log(x.std(0)).sum())


def test_standard_columns_leave_the_line_only_far_beyond_the_training_range():
    x = np.random.default_rng(0).normal(size=(1000, 1))
    y, _ = ColumnScales.standard(x, [Support()])(torch.tensor([[1e9]]))
    assert 6 < y.item() < 50


@pytest.mark.parametrize("kind", [ColumnScales.fit, ColumnScales.standard], ids=["chosen", "standard"])
def test_rebuilt_from_json_and_state_without_data(kind):
    columns = kind(table(), SUPPORTS)
    description = json.loads(json.dumps(describe(columns), allow_nan=False))
    with torch.device("meta"):
        again = build(description, REGISTRY)
    again = again.to_empty(device="cpu")
    again.load_state_dict(columns.state_dict())
    x = Supports(SUPPORTS).dequantise(torch.from_numpy(table(200)), seed=0)
    for mine, theirs in zip(again(x), columns(x), strict=True):
        assert torch.equal(mine, theirs)
    assert again.report() == columns.report()


def test_the_report_names_what_was_chosen_and_why(columns):
    report = columns.report(["a", "b", "c", "d"])
    assert [entry["column"] for entry in report] == ["a", "b", "c", "d"]
    assert [entry["scale"] for entry in report[1:]] == ["Log", "CellHistogram", "LogOdds"]
    assert report[1]["held_out"]["Log"] > report[1]["held_out"]["SoftClip"] + 0.3


def test_errors_name_the_column():
    x = table(50)
    x[:, 1] = 4.0
    with pytest.raises(DataError, match="column 'price'"):
        ColumnScales.fit(x, SUPPORTS, names=["t", "price", "n", "share"])
    x[3, 1] = math.inf
    with pytest.raises(DataError, match="row 4, column 'price'"):
        ColumnScales.standard(x, SUPPORTS, names=["t", "price", "n", "share"])


def test_missing_cells_stay_missing_and_change_no_slope():
    x = table(200)
    gone = np.random.default_rng(0).random(x.shape) < 0.2
    holes = np.where(gone, np.nan, x)
    columns = ColumnScales.fit(holes, SUPPORTS)
    y, ladj = columns(torch.from_numpy(holes))
    np.testing.assert_array_equal(y.isnan(), gone)
    full, _ = columns(torch.from_numpy(x))
    np.testing.assert_array_equal(y[~torch.from_numpy(gone)], full[~torch.from_numpy(gone)])
    each = [columns.scales[index](torch.from_numpy(x[:, index]))[1] for index in range(x.shape[1])]
    expected = torch.where(torch.from_numpy(gone), 0.0, torch.stack(each, 1)).sum(1)
    torch.testing.assert_close(ladj, expected)
    nothing, zero = columns(torch.full((2, x.shape[1]), torch.nan))
    assert nothing.isnan().all()
    assert (zero == 0.0).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError):
        ColumnScales.fit(table(), SUPPORTS[:2])
    with pytest.raises(UsageError):
        ColumnScales([Standard()], [])


def test_without_time_for_comparisons_skewed_columns_are_not_left_linear():
    random = np.random.default_rng(0)
    x = np.stack(
        [random.lognormal(0, 4, 300), 1 / (1 + random.lognormal(0, 4, 300)), random.normal(size=300)]
    )
    supports = [Support(lower=0.0), Support(lower=0.0, upper=1.0), Support()]
    journal = journal_of(None, None, 30.0, lambda: False, eager=False)
    rows, names = torch.from_numpy(x.T), ["a", "b", "c"]
    maps, remarks = column_maps(rows, supports, names, 0, deadline=-math.inf, journal=journal)
    assert [type(scale).__name__ for scale in maps["standard"].scales] == ["SoftClip", "SoftClip", "Standard"]
    assert [type(scale).__name__ for scale in maps["chosen"].scales[1:]] == ["LogOdds", "Standard"]
    assert remarks == ["the scales of 2 of 3 columns are not compared, for lack of time"]
    assert type(ColumnScales.quick(x.T, supports).scales[0]) is Log
    spiked = np.where(random.random(300) < 0.5, 0.0, x[0])[:, None]
    (scale,) = ColumnScales.quick(spiked, [Support(lower=0.0, atoms=[0.0])]).scales
    assert type(scale.inner) is Log
