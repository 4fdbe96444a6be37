import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from logpx.errors import DataError
from logpx.scoring import Noise
from logpx.tables.dequantisation import dequantise
from logpx.tables.scales import CellHistogram, Log, LogOdds, QuantileSpline, SoftClip, Standard, choose_scale


def rng(seed=0):
    return np.random.default_rng(seed)


def nats(scale, x):
    """The log density of a standard normal pulled back to the table's units."""
    y, log_derivative = scale(torch.as_tensor(x, dtype=torch.float64))
    return log_derivative - y.square() / 2 - 0.5 * math.log(2 * math.pi)


@pytest.mark.parametrize(
    ("values", "support", "expected"),
    [
        (rng().normal(50.0, 3.0, 2000), {}, Standard),
        (rng().normal(50.0, 3.0, 2000), {"lower": 0.0}, SoftClip),
        (rng().lognormal(3.0, 1.0, 2000), {"lower": 0.0}, Log),
        (9.0 - rng().lognormal(0.0, 1.0, 2000), {"upper": 9.0}, Log),
        (1 / (1 + np.exp(-rng().normal(-1.0, 1.5, 5000))), {"lower": 0.0, "upper": 1.0}, LogOdds),
        (np.concatenate([rng().normal(0, 1, 1000), rng().normal(20, 2, 1000)]), {}, QuantileSpline),
        (rng().poisson(2.0, 2000).astype(float), {"step": 1.0, "lower": 0.0}, CellHistogram),
        (rng().choice([0.0, 0.5, 3.0], 2000), {"step": 0.5}, CellHistogram),
        (rng().integers(0, 2, 300).astype(float), {"step": 1.0}, CellHistogram),
    ],
    ids=[
        "normal",
        "normal above 0",
        "lognormal",
        "mirrored",
        "logistic",
        "bimodal",
        "counts",
        "three",
        "binary",
    ],
)
def test_the_natural_scale_is_chosen(values, support, expected):
    scale, report = choose_scale(values, **support)
    assert type(scale) is expected
    assert all(math.isfinite(score) for score in report.values())


@pytest.mark.parametrize(
    ("distribution", "bounds", "tolerance"),
    [
        (stats.norm(), {}, 0.01),
        (stats.t(2), {}, 0.02),
        (stats.cauchy(), {}, 0.02),
        (stats.lognorm(1.5), {"lower": 0.0}, 0.01),
        (stats.lognorm(1.5), {}, 0.02),
        (stats.gamma(0.5), {"lower": 0.0}, 0.02),
        (stats.uniform(), {}, 0.03),
        (stats.laplace(), {}, 0.02),
    ],
    ids=["normal", "t2", "cauchy", "lognormal", "lognormal unbounded", "gamma", "uniform", "laplace"],
)
def test_held_out_likelihood_is_near_the_truth(distribution, bounds, tolerance):
    scale, _ = choose_scale(distribution.rvs(8000, random_state=rng(1)), **bounds)
    x = distribution.rvs(20_000, random_state=rng(2))
    regret = np.mean(distribution.logpdf(x)) - nats(scale, x).mean().item()
    # The truth cannot be beaten by more than the noise of 20000 rows.
    assert -0.01 < regret < tolerance


def test_the_report_is_the_held_out_likelihood():
    x = rng().normal(size=20_000)
    _, report = choose_scale(x)
    entropy = stats.norm.entropy()
    assert report["Standard"] == pytest.approx(-entropy, abs=0.02)
    assert list(report)[:2] == ["Standard", "Asinh"]


def test_a_standardised_uniform_column_gains_what_the_entropies_say():
    _, report = choose_scale(rng().random(20_000))
    gain = max(report.values()) - report["Standard"]
    # Uniform entropy is 0; a normal of the same variance has 1/2 log(2 pi e / 12).
    assert gain == pytest.approx(0.5 * math.log(2 * math.pi * math.e / 12), abs=0.02)


@pytest.mark.parametrize(
    ("values", "support"),
    [
        (rng().normal(5.0, 1.0, 3000), {}),
        (rng().standard_t(2, 3000), {}),
        (rng().lognormal(0, 1, 3000), {"lower": 0.0}),
        (np.concatenate([rng().normal(0, 1, 1000), rng().normal(9, 1, 1000)]), {}),
        (rng().poisson(2.0, 3000).astype(float), {"step": 1.0}),
    ],
    ids=["normal", "t2", "lognormal", "bimodal", "counts"],
)
def test_an_outlier_a_million_deviations_away_costs_less_than_a_hundred_nats(values, support):
    scale, _ = choose_scale(values, **support)
    outlier = values.mean() + 1e6 * values.std()
    assert nats(scale, [outlier]).item() > nats(scale, values).mean().item() - 100


def test_probabilities_of_all_integers_sum_to_one():
    values = rng().poisson(2.0, 1500).astype(float)
    scale, _ = choose_scale(values, step=1.0)
    # The mass of each integer is the integral of the density over its cell.
    nodes, weights = np.polynomial.legendre.leggauss(30)
    integers = np.arange(-400, 401)
    x = integers[:, None] + nodes / 2
    mass = nats(scale, x.reshape(-1)).exp().numpy().reshape(x.shape) @ (weights / 2)
    assert mass.sum() == pytest.approx(1.0, abs=1e-6)
    frequent = integers[(integers >= 0) & (integers <= 5)]
    observed = np.array([(values == k).mean() for k in frequent])
    assert np.abs(mass[np.isin(integers, frequent)] - observed).max() < 2e-3


def test_dequantised_cells_give_no_more_than_the_discrete_likelihood():
    values = rng().poisson(2.0, 5000).astype(float)
    scale, _ = choose_scale(values, step=1.0)
    fresh = torch.from_numpy(rng(5).poisson(2.0, 20_000).astype(float))
    noisy = dequantise(fresh, 1.0, Noise(3).uniform(len(fresh), (), fresh))
    discrete = stats.poisson(2.0).logpmf(fresh.numpy()).mean()
    assert discrete - 0.01 < nats(scale, noisy).mean().item() < discrete + 0.003


@pytest.mark.parametrize("values", [[], [1.0], [2.0] * 50, [1.0, math.nan], [1.0, math.inf]])
def test_what_no_scale_fits_is_a_typed_error(values):
    with pytest.raises(DataError):
        choose_scale(np.array(values))


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0],
        [1.0] * 99 + [1.0 + 1e-9],
        [1e8, 1e8 + 1e-7, 1e8 + 2e-7] * 10,
        [0.0, 1.0] * 50,
        [-1e300, 1e300, 0.0] * 10,
        [5e-324, 0.0] * 10,
        [0.0] * 500 + [1e300],
    ],
    ids=["two rows", "nearly constant", "far from 0", "two values", "huge", "tiny", "one huge"],
)
def test_degenerate_columns_are_finite(values):
    try:
        scale, _ = choose_scale(np.array(values))
    except DataError:
        return
    y, log_derivative = scale(torch.tensor(values, dtype=torch.float64))
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_derivative).all()


def test_a_constant_integer_column_is_a_uniform_cell():
    scale, _ = choose_scale(np.full(2000, 7.0), step=1.0)
    # Dequantised it is uniform on one step: 0 nats, less what the tails keep.
    inside = 6.5 + (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    assert nats(scale, inside).mean().item() == pytest.approx(0.0, abs=0.02)


def test_the_same_seed_gives_the_same_scale_and_read_only_input_is_kept():
    values = rng().poisson(3.0, 500).astype(float)
    before = values.copy()
    values.flags.writeable = False
    first, report = choose_scale(values, step=1.0, seed=4)
    second, again = choose_scale(values, step=1.0, seed=4)
    assert report == again
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))
    assert np.array_equal(values, before)


def test_another_default_device_does_not_matter():
    # Nothing can be computed on the meta device: whatever was left to the default would fail.
    with torch.device("meta"):
        scale, _ = choose_scale(rng().poisson(2.0, 500).astype(float), step=1.0)
    assert {buffer.device.type for buffer in scale.buffers()} == {"cpu"}


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=60), st.sampled_from([0.01, 0.5, 1.0, 100.0]))
def test_any_gridded_column_is_finite_on_its_cells(cells, step):
    values = np.array(cells) * step
    scale, _ = choose_scale(values, step=step)
    x = torch.linspace(-60 * step, 60 * step, 997, dtype=torch.float64)
    y, log_derivative = scale(x)
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_derivative).all()
    assert (y.diff() > 0).all()
