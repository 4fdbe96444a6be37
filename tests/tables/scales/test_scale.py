"""The contract of every scale: one dictionary of them, and what each must satisfy."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from logpx.configuration import build, describe
from logpx.errors import DataError
from logpx.tables.scales import (
    SCALES,
    Asinh,
    Atoms,
    CellHistogram,
    Codes,
    Log,
    LogOdds,
    QuantileSpline,
    SoftClip,
    Standard,
    choose_scale,
)

INF = math.inf


def draws(seed=0):
    return np.random.default_rng(seed)


def bimodal():
    rng = draws()
    return np.concatenate([rng.normal(-4, 0.5, 1000), rng.normal(3, 1.5, 2000)])


def dequantised(values):
    return values + draws(1).random(len(values)) - 0.5


def with_atoms(values, atoms, **bounds):
    rest = values[~np.isin(values, atoms)]
    return Atoms.fit(values, inner=choose_scale(rest, **bounds)[0], atoms=atoms)


def zero_inflated():
    return np.where(draws().random(2000) < 0.7, 0.0, draws(1).gamma(2.0, 1.0, 2000))


ATOMS = {
    "atom at 0": (with_atoms(zero_inflated(), [0.0], lower=0.0), (-(2.0**-501), INF)),
    "atoms at both ends": (
        with_atoms(np.clip(draws().normal(0.5, 0.4, 2000), 0, 1), [0.0, 1.0], lower=0.0, upper=1.0),
        (-(2.0**-501), 1 + 2.0**-33),
    ),
    "atoms within": (
        with_atoms(np.append(draws().normal(0.0, 2.0, 900), [-1.5] * 40 + [0.5] * 60), [-1.5, 0.5]),
        (-INF, INF),
    ),
}
# name -> fitted scale, support
SCALE_CASES = {
    "standard": (Standard.fit(draws().normal(3.0, 2.0, 500)), (-INF, INF)),
    "standard without tails": (Standard.fit(draws().normal(3.0, 2.0, 500), limit=INF), (-INF, INF)),
    "log": (Log.fit(draws().lognormal(0, 1, 500) - 2.0, bound=-2.0), (-2.0, INF)),
    "log mirrored": (Log.fit(5.0 - draws().lognormal(0, 1, 500), bound=5.0, mirrored=True), (-INF, 5.0)),
    "logit": (LogOdds.fit(1 + 2 * draws().beta(2, 3, 500), lower=1.0, upper=3.0), (1.0, 3.0)),
    "asinh": (Asinh.fit(draws().standard_t(2, 2000)), (-INF, INF)),
    "asinh of skewed": (Asinh.fit(draws().gamma(2.0, 1.0, 2000)), (-INF, INF)),
    "spline": (QuantileSpline.fit(bimodal()), (-INF, INF)),
    "spline of cauchy": (QuantileSpline.fit(draws().standard_cauchy(2000)), (-INF, INF)),
    "spline of few rows": (QuantileSpline.fit(draws().normal(size=12)), (-INF, INF)),
    "spline over log": (
        QuantileSpline.fit(
            draws().exponential(1.0, 2000),
            inner=Log.fit(draws().exponential(1.0, 2000), bound=0.0, limit=INF),
        ),
        (0.0, INF),
    ),
    "codes": (Codes(), (-INF, INF)),
    "cells": (
        CellHistogram.fit(dequantised(draws().poisson(3.0, 1000).astype(float)), step=1.0),
        (-INF, INF),
    ),
    "cells with gaps": (
        CellHistogram.fit(dequantised(draws().choice([0.0, 1.0, 7.0, 30.0], 1000)), step=1.0),
        (-INF, INF),
    ),
    "cells from a bound on": (
        CellHistogram.fit(dequantised(5 + draws().poisson(3.0, 1000).astype(float)), step=1.0, lower=-0.5),
        (-0.5, INF),
    ),
    "cells up to a bound": (
        CellHistogram.fit(dequantised(-draws().poisson(3.0, 1000).astype(float)), step=1.0, upper=99.5),
        (-INF, 99.5),
    ),
    "two cells": (
        CellHistogram.fit([0.0] * 990 + [1.0] * 10, step=1.0, lower=-0.5, upper=1.5),
        (-0.5, 1.5),
    ),
    "soft clip below": (
        SoftClip.fit(draws().exponential(1.0, 500), inner=Standard.fit, lower=0.0),
        (0.0, INF),
    ),
    "soft clip above": (
        SoftClip.fit(5 - draws().exponential(1.0, 500), inner=Asinh.fit, upper=5.0),
        (-INF, 5.0),
    ),
    "soft clip": (
        SoftClip.fit(-2 * draws().beta(1.0, 4.0, 500), inner=Standard.fit, lower=-2.0, upper=0.0),
        (-2.0, 0.0),
    ),
    **ATOMS,
    "cells of half steps": (CellHistogram.fit([0.25] * 10 + [0.75] * 20, step=0.5, offset=0.25), (-INF, INF)),
}
cases = pytest.mark.parametrize(("scale", "support"), SCALE_CASES.values(), ids=SCALE_CASES)


def model_grid(limit=5.0, count=2001):
    return torch.linspace(-limit, limit, count, dtype=torch.float64)


def test_every_class_is_covered():
    assert {type(scale) for scale, _ in SCALE_CASES.values()} == set(SCALES.values())


@cases
def test_log_derivative_is_that_of_autodiff(scale, support):
    # Past the limit of 6, too; edges between cells, where there is no derivative, have measure zero.
    x, _ = scale.inverse(model_grid(8.0, 1501))
    # A distance to a bound of 0 below the smallest normal float has no derivative.
    x = x[(x.abs() > 1e-300) | (x == 0) | isinstance(scale, Atoms)].clone().requires_grad_()
    y, log_derivative = scale(x)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_derivative.detach(), derivative.log(), rtol=1e-9, atol=1e-9)


@cases
def test_inverse_log_derivative_is_minus_that_of_forward(scale, support):
    y = model_grid(5.5, 1001)
    x, inverse_derivative = scale.inverse(y)
    forward_derivative = scale(x)[1]
    # x is rounded, and the slope is not continuous at a cell's edge.
    smooth = (inverse_derivative + forward_derivative).abs() < 1e-6
    # Near a bound other than 0, and in the cell of an atom, x has few digits left.
    inner = y.abs() < 2 if np.isfinite(support).any() or isinstance(scale, Atoms) else y.abs() < 5.5
    assert smooth[inner].double().mean() > 0.98


@cases
def test_round_trip_from_model_space(scale, support):
    y = model_grid(6.5)
    x, _ = scale.inverse(y)
    again, slope = scale(x)
    # x carries a rounding error of its own size; the map turns it into one of y.
    conditioning = 1 + x.abs() * slope.exp()
    assert ((again - y).abs() / conditioning).max() < 1e-9


@cases
def test_round_trip_from_the_table(scale, support):
    x = scale.inverse(model_grid(6.5))[0]
    y, _ = scale(x)
    again, log_derivative = scale.inverse(y)
    conditioning = 1 + x.abs() + y.abs() * log_derivative.exp()
    assert ((again - x).abs() / conditioning).max() < 1e-9


@cases
def test_increasing(scale, support):
    y = scale(scale.inverse(model_grid(9.0, 5001))[0].unique())[0]
    assert (y.diff() >= 0).all()
    # Distances to a bound below the smallest normal float are told apart no more.
    assert (y.diff() > 0).double().mean() > 0.995


@cases
@pytest.mark.parametrize("magnitude", [0.0, 1e-300, 1.0, 1e3, 1e30, 1e150, 1e300, 1.7e308])
def test_total_in_both_directions(scale, support, magnitude):
    x = torch.tensor([-magnitude, magnitude], dtype=torch.float64)
    y, log_derivative = scale(x)
    assert torch.isfinite(y).all()
    inside = (x > support[0]) & (x < support[1])
    assert torch.isfinite(log_derivative[inside]).all()
    assert (log_derivative[~inside] == -INF).all()
    back, back_derivative = scale.inverse(x)
    assert torch.isfinite(back).all()
    assert torch.isfinite(back_derivative).all()
    assert (back > support[0]).all()
    assert (back < support[1]).all()


@cases
def test_total_on_knots_and_one_ulp_beside_them(scale, support):
    knots = torch.cat([*breaks(scale), scale.inverse(torch.zeros(1))[0]])
    x = torch.cat([knots, torch.nextafter(knots, knots - 1), torch.nextafter(knots, knots + 1)])
    y, log_derivative = scale(x)
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_derivative[(x > support[0]) & (x < support[1])]).all()
    assert (y[x.argsort()].diff() >= -1e-14).all()


def breaks(scale):
    """Where the density or its derivative jumps, in the table's units."""
    limits = scale.inverse(torch.tensor([-6.0, 6.0]))[0]
    if isinstance(scale, CellHistogram):
        return [scale.edges, limits]
    if isinstance(scale, Atoms):
        return [scale.cells.left, scale.cells.right, *breaks(scale.inner)]
    return [scale.inner.inverse(scale.knots)[0], limits] if isinstance(scale, QuantileSpline) else [limits]


@cases
def test_density_integrates_to_one(scale, support):
    # Integrated in pieces between quantiles, in the table's own units.
    cuts = scale.inverse(torch.linspace(-7.0, 7.0, 400, dtype=torch.float64))[0]
    cuts = torch.cat([cuts, *breaks(scale)]).sort().values
    nodes, weights = np.polynomial.legendre.leggauss(20)
    left, right = cuts[:-1, None], cuts[1:, None]
    x = (left + right) / 2 + (right - left) / 2 * torch.from_numpy(nodes)
    y, log_derivative = scale(x.reshape(-1))
    density = (log_derivative - y.square() / 2).exp().reshape(x.shape) / math.sqrt(2 * math.pi)
    total = ((right - left) / 2 * torch.from_numpy(weights) * density).sum().item()
    # The cell of an atom holds a million floats, which is the precision of an integral over it.
    assert total == pytest.approx(1.0, abs=1e-5 if isinstance(scale, Atoms) else 1e-6)


def test_density_integrates_to_one_by_an_independent_rule():
    scale = QuantileSpline.fit(bimodal())

    def density(x):
        y, log_derivative = scale(torch.tensor([x], dtype=torch.float64))
        return math.exp(log_derivative.item() - y.item() ** 2 / 2) / math.sqrt(2 * math.pi)

    cuts = [-INF, *breaks(scale)[0].tolist(), INF]
    total = sum(integrate.quad(density, *ends)[0] for ends in itertools.pairwise(cuts))
    assert total == pytest.approx(1.0, abs=1e-8)


@cases
def test_rebuilt_from_its_description_and_state(scale, support):
    with torch.device("meta"):
        again = build(describe(scale), SCALES)
    again = again.to_empty(device="cpu")
    again.load_state_dict(scale.state_dict())
    x = scale.inverse(model_grid(7.0, 101))[0]
    for mine, theirs in zip(again(x), scale(x), strict=True):
        assert torch.equal(mine, theirs)


@cases
def test_parameters_stay_float64(scale, support):
    copy = build(describe(scale), SCALES)
    copy.load_state_dict(scale.state_dict())
    copy.float()
    assert all(buffer.dtype == torch.float64 for buffer in copy.buffers())
    y, log_derivative = copy(torch.ones(3, dtype=torch.float32))
    assert y.dtype == log_derivative.dtype == torch.float64


@pytest.mark.parametrize(
    "fit", [Standard.fit, Asinh.fit, QuantileSpline.fit], ids=["standard", "asinh", "spline"]
)
@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=40).filter(
        lambda values: len(set(values)) > 1
    )
)
def test_any_column_gives_a_finite_increasing_map_or_a_typed_error(fit, values):
    try:
        scale = fit(values)
    except DataError:
        return
    x = torch.tensor(sorted(values), dtype=torch.float64)
    y, log_derivative = scale(x)
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_derivative).all()
    assert (y.diff() >= 0).all()
