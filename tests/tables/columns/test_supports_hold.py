"""The support that a schema states holds in log p and in samples: by the maps, whatever the model."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from logpx.distributions import FullNormal, Mixture
from logpx.flows import NSF
from logpx.tables import ColumnScales, Support, TableDensity, fit_table, infer_schema
from logpx.tables.columns.supports import Supports

N = 200


def draws(seed=0):
    return np.random.default_rng(seed)


COLUMNS = {
    "0 and 1": lambda random, n: (random.random(n) < 0.05).astype(float),
    "grades": lambda random, n: random.integers(1, 7, n).astype(float),
    "half stars": lambda random, n: random.integers(1, 11, n) / 2,
    "counts": lambda random, n: random.poisson(2.0, n).astype(float),
    "amounts": lambda random, n: np.where(random.random(n) < 0.8, 0.0, random.integers(100, 9999, n)),
    "percentages": lambda random, n: np.clip(random.normal(50, 60, n), 0, 100),
    "rounded percentages": lambda random, n: np.clip(random.normal(50, 60, n), 0, 100).round(1),
    "zero-inflated": lambda random, n: np.where(random.random(n) < 0.7, 0.0, random.gamma(2.0, 1.0, n)),
    "censored": lambda random, n: np.maximum(random.lognormal(0.0, 1.0, n), 0.7),
    "positive": lambda random, n: random.lognormal(0.0, 2.0, n),
    "shares": lambda random, n: random.beta(0.4, 0.4, n),
}
columns = pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS)
MAPS = {"chosen": ColumnScales.fit, "standard": ColumnScales.standard}
maps = pytest.mark.parametrize("fit", MAPS.values(), ids=MAPS)


def wide_normal(features):
    model = FullNormal(features).double()
    noise = torch.randn(500, features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model.update(model.statistics(0.2 + 1.2 * noise))
    return model


def mixture(features):
    return Mixture([wide_normal(features), FullNormal(features).double()], [0.4, 0.6])


def spline_flow(features):
    return NSF(features=features, layers=2, hidden=(8,), autoregressive=True).double()


def measured(density, support):
    """Points of the table, and the mass around each, by quadrature in table units."""
    scale = density.columns.scales[0]
    points = scale.inverse(torch.linspace(-12.0, 12.0, 1001, dtype=torch.float64))[0]
    if support.atoms:
        # Next to an atom the values of the inner scale are dense; in its cell the map is that of even steps.
        points = torch.cat([points, scale.inner.inverse(torch.linspace(-30.0, 30.0, 1001).double())[0]])
        points = points[support.cells.index(points) < 0]
        steps = torch.linspace(0.0, 1.0, 201, dtype=torch.float64)[:, None]
        points = torch.cat([points, (support.cells.left + steps * support.cells.width).reshape(-1)])
    cuts = torch.cat([points, getattr(scale, "edges", points)]).unique()
    nodes, weights = np.polynomial.legendre.leggauss(8)
    left, right = cuts[:-1, None], cuts[1:, None]
    middle = left + (right - left) / 2
    x = (middle + (right - left) / 2 * torch.from_numpy(nodes)).clamp(
        torch.nextafter(left, right), torch.nextafter(right, left)
    )
    with torch.no_grad():
        log_p = density.log_prob(x.reshape(-1, 1)).view_as(x)
    # In the cell of an atom log p is that of a mass, and the cell counts as one unit.
    log_length = (right - left).log() - support.log_width(middle)
    mass = (log_p + log_length + torch.from_numpy(weights / 2).log()).exp()
    return support.snap(x.reshape(-1)), mass.reshape(-1)


@columns
@maps
def test_the_whole_mass_is_within_the_support(make, fit):
    values = make(draws(), N)
    (support,) = Supports.of(infer_schema({"a": values}).modelled).supports
    density = TableDensity(fit(values[:, None], [support]), mixture(1))
    points, mass = measured(density, support)
    assert not support.outside(points).any()
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)


@columns
@maps
def test_beyond_the_support_nothing_is_possible(make, fit):
    values = make(draws(), N)
    supports = Supports.of(infer_schema({"a": values}).modelled)
    (support,) = supports.supports
    density = TableDensity(fit(values[:, None], [support]), FullNormal(1).double())
    step = support.step or 1e-6
    beyond = [
        end for end in (support.lower and support.lower - step, support.upper and support.upper + step) if end
    ]
    beyond += [-step] if support.lower == 0.0 else []
    x = torch.tensor(beyond, dtype=torch.float64)[:, None]
    for draw in range(5):
        assert (density.log_prob(supports.dequantise(x, seed=0, draw=draw)) == -math.inf).all()
    inside = supports.dequantise(torch.from_numpy(values[:, None]), seed=0)
    assert torch.isfinite(density.log_prob(inside)).all()


@maps
@settings(max_examples=6)
@given(
    names=st.lists(st.sampled_from(list(COLUMNS)), min_size=2, max_size=4, unique=True),
    seed=st.integers(0, 2**32 - 1),
    model=st.sampled_from([wide_normal, mixture, spline_flow]),
)
def test_whatever_a_model_draws_is_possible(fit, names, seed, model):
    table = {name: COLUMNS[name](draws(seed + index), N) for index, name in enumerate(names)}
    schema = infer_schema(table)
    supports = Supports.of(schema.modelled)
    torch.manual_seed(seed)
    density = TableDensity(fit(np.stack(list(table.values()), 1), supports.supports), model(len(names)))
    with torch.no_grad():
        noisy = density.sample(300, seed=seed)
        x = supports.snap(noisy)
        assert torch.isfinite(density.log_prob(noisy)).all()
    for support, column, drawn in zip(supports.supports, x.T, noisy.T, strict=True):
        assert not support.outside(column).any()
        assert not support.off_grid(column).any()
        lower, upper = support.extent
        # The maps themselves end there: nothing was clipped.
        slack = 1e-9 * (1 + drawn.abs())
        assert lower is None or (drawn >= lower - slack).all()
        assert upper is None or (drawn <= upper + slack).all()


@columns
@maps
def test_frequent_values_get_their_shares(make, fit):
    values = make(draws(), 1000)
    supports = Supports.of(infer_schema({"a": values}).modelled)
    (support,) = supports.supports
    y = torch.randn(40_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = supports.snap(fit(values[:, None], [support]).inverse(y))[:, 0].numpy()
    distinct, counts = np.unique(values, return_counts=True)
    for value, share in zip(distinct, counts / len(values), strict=True):
        if share > 0.05:
            assert (x == value).mean() == pytest.approx(
                share, abs=5 * math.sqrt(share / len(x)) + 3 / len(values)
            )


def test_model_and_baselines_share_one_reference_measure():
    random = draws()
    zero = random.random(600) < 0.5
    table = {"a": np.where(zero, 0.0, random.gamma(2.0, 1.0, 600)), "b": random.normal(size=600)}
    model = fit_table(table, "gaussian").model
    assert model.kind == "lower bound"
    found = model.evaluate(table)
    # Log p is that of the mass at 0 and of the density elsewhere: an entropy known in closed form.
    p = zero.mean()
    entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p)) + (1 - p) * 1.5772156649 + 1.4189385332
    for mean in (found.mean, *(each.mean for each in found.baselines.values())):
        assert mean == pytest.approx(-entropy, abs=0.15)


def test_whole_numbers_far_from_their_bound_keep_their_tail():
    # The mass between the bound and the smallest value falls off, as it would without a bound.
    years = draws().integers(1990, 2021, 500).astype(float)
    scale = ColumnScales.fit(years[:, None], [Support(lower=0.0, step=1.0)])
    x = torch.tensor([[1989.0], [1900.0], [5.0]], dtype=torch.float64)
    y, ladj = scale(x)
    near, far, farthest = (ladj - y[:, 0].square() / 2).tolist()
    assert near > far > farthest > -40
