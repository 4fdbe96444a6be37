"""Distributions of single columns: they sum or integrate to 1, and draws, quantiles and densities agree."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions.columns import ColumnDistribution, LabelColumn, NumberColumn, ValueColumn
from logpx.errors import DataError, UsageError

DRAWS = 4000


def numbers(seed: int, n: int = 500) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_raw(column: ColumnDistribution, seed: int = 1) -> torch.Tensor:
    return 0.5 * numbers(seed, column.outputs)[None]


def started(column: ColumnDistribution, x: torch.Tensor) -> ColumnDistribution:
    column.initialise(x)
    return column


def labels() -> tuple[ColumnDistribution, torch.Tensor]:
    column = started(LabelColumn(3, new=True), torch.tensor([0.0, 0, 1, 2, 2, 2, 2]).double())
    return column, torch.arange(4.0, dtype=torch.float64)


def values() -> tuple[ColumnDistribution, torch.Tensor]:
    x = torch.tensor([2.0, 2, 3, 3, 7, 7, 7, 11]).double()
    return started(ValueColumn([2.0, 3, 7, 11], lower=-0.5, upper=19.5), x), torch.arange(20.0).double()


def smooth_values() -> tuple[ColumnDistribution, torch.Tensor]:
    x = (5 * numbers(0)).round()
    column = ValueColumn(sorted(set(x.tolist())), knots=4)
    return started(column, x), torch.arange(-40_000.0, 40_001.0).double()


def counts() -> tuple[ColumnDistribution, torch.Tensor]:
    x = (torch.exp(1.0 + numbers(0)) * 10).floor()
    column = NumberColumn(1.0, lower=-0.5, atoms=[40.0], components=4)
    return started(column, x), torch.arange(0.0, 1_000_000.0).double()


def cents() -> tuple[ColumnDistribution, torch.Tensor]:
    column = started(NumberColumn(0.01, lower=-0.005, upper=1.005), torch.sigmoid(numbers(0)))
    return column, torch.arange(101).double() / 100


DISCRETE = {
    "labels": (labels, 1.0, 1e-12),
    "values": (values, 1.0, 1e-12),
    "smooth values": (smooth_values, 1.0, 1e-6),
    "counts": (counts, 1.0, 1e-6),
    "cents": (cents, 0.01, 1e-9),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_masses_of_all_values_sum_to_one(name: str):
    make, step, error = DISCRETE[name]
    column, every = make()
    raw = some_raw(column).expand(len(every), -1)
    total = (column.log_prob(raw, every).exp() * step).sum()
    assert abs(float(total) - 1.0) < error


@pytest.mark.parametrize("name", DISCRETE)
def test_frequencies_of_draws_are_the_masses(name: str):
    make, step, _ = DISCRETE[name]
    column, every = make()
    uniform = torch.rand(DRAWS, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    drawn = column.sample(some_raw(column).expand(DRAWS, -1), uniform)
    common = every[: 20 if name != "smooth values" else None]
    common = common[(common.abs() < 20)] if name == "smooth values" else common
    masses = (column.log_prob(some_raw(column).expand(len(common), -1), common).exp() * step).numpy()
    if name == "labels":
        # A new label is never drawn.
        masses[:3], masses[3] = masses[:3] / masses[:3].sum(), 0.0
    seen = np.array([(drawn == value).sum().item() for value in common])
    rest = [DRAWS - seen.sum()], [max(1.0 - masses.sum(), 0.0)]
    found, expected = np.concatenate([seen, rest[0]]), np.concatenate([masses, rest[1]]) * DRAWS
    usual = expected > 5
    chi2 = ((found - expected)[usual] ** 2 / expected[usual]).sum()
    assert chi2 < stats.chi2.ppf(1 - 1e-4, usual.sum())


CONTINUOUS = {
    "unbounded": (lambda: NumberColumn(components=3), lambda: 3.0 + 2.0 * numbers(0), (-1e4, 1e4)),
    "positive": (lambda: NumberColumn(lower=0.0), lambda: torch.exp(numbers(0)), (0.0, 1e6)),
    "negative": (lambda: NumberColumn(upper=1.0), lambda: 1.0 - torch.exp(numbers(0)), (-1e6, 1.0)),
    "bounded": (lambda: NumberColumn(None, 2.0, 5.0), lambda: 2 + 3 * torch.sigmoid(numbers(0)), (2.0, 5.0)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_integrate_to_one_and_draws_follow_the_cdf(name: str):
    make, rows, (low, high) = CONTINUOUS[name]
    column = started(make(), rows())
    raw = some_raw(column)
    # Nodes that are dense where the density is: at quantiles of a wide distribution of u.
    u = torch.linspace(-40, 40, 200_001, dtype=torch.float64)
    x = column.units.inverse(u)
    kept = (x > low) & (x < high) & (torch.cat([x.diff() > 0, torch.tensor([False])]))
    x = x[kept]
    density = column.log_prob(raw.expand(len(x), -1), x).exp()
    assert abs(float(torch.trapezoid(density, x)) - 1.0) < 1e-4
    uniform = torch.rand(DRAWS, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    drawn = column.sample(raw.expand(DRAWS, -1), uniform)
    levels = column.cdf(raw.expand(DRAWS, -1), drawn)
    assert stats.kstest(levels.numpy(), "uniform").pvalue > 1e-4
    assert drawn.min() > low
    assert drawn.max() < high
    for level in (0.05, 0.5, 0.95):
        quantile = column.quantile(raw, level)
        assert float(column.cdf(raw, quantile)) == pytest.approx(level, abs=1e-9)
    inside = column.expectation(raw, lambda x: (x < float(column.quantile(raw, 0.3))).double())
    assert float(inside) == pytest.approx(0.3, abs=0.03)


def test_an_atom_holds_mass_beside_a_density():
    x = numbers(0).exp()
    x[:200] = 0.0
    column = started(NumberColumn(lower=0.0, atoms=[0.0]), x)
    raw = torch.zeros(1, column.outputs)
    assert float(column.log_prob(raw, x[:1]).exp()) == pytest.approx(0.4, abs=0.01)
    assert float(column.quantile(raw, 0.3)) == 0.0
    assert float(column.quantile(raw, 0.5)) > 0.0
    x = torch.logspace(-12, 9, 100_001, dtype=torch.float64)
    density = column.log_prob(raw.expand(len(x), -1), x).exp()
    assert float(torch.trapezoid(density, x)) == pytest.approx(0.6, abs=0.01)


def test_quantiles_of_values_are_the_smallest_that_reach_a_level():
    column, every = values()
    raw = some_raw(column)
    cdf = column.cdf(raw.expand(len(every), -1), every)
    torch.testing.assert_close(
        cdf, column.log_prob(raw.expand(len(every), -1), every).double().exp().cumsum(0), rtol=0, atol=1e-6
    )
    for level in (0.001, 0.02, 0.3, 0.77, 0.985, 0.99999):
        assert float(column.quantile(raw, level)) == float(every[int((cdf < level).sum())])


def test_the_start_is_the_distribution_of_the_rows():
    column, _ = values()
    masses = column.log_prob(torch.zeros(1, 4).expand(4, -1), column.points).exp()
    torch.testing.assert_close(masses, torch.tensor([0.25, 0.25, 0.35, 0.14]), rtol=0.2, atol=0)
    x = 5.0 + 3.0 * numbers(0, 5000)
    column = started(NumberColumn(components=10), x)
    found = column.log_prob(torch.zeros(1, column.outputs).expand(5000, -1), x).mean()
    assert float(found) > float(stats.norm(5.0, 3.0).logpdf(x.numpy()).mean()) - 0.05


def test_numbers_of_nine_digits_keep_their_resolution():
    x = 1.7e9 + (100 * numbers(0)).round()
    column = started(NumberColumn(1.0, components=4), x)
    raw = torch.zeros(401, column.outputs)
    near = 1.7e9 + torch.arange(-200.0, 201.0, dtype=torch.float64)
    assert column.log_prob(raw, near).exp().sum() > 0.8
    embedded = column.embed(near, torch.eye(column.inputs))
    assert len(torch.unique(embedded, dim=0)) > 300


@pytest.mark.parametrize("raw", [100.0, -100.0])
def test_extreme_numbers_of_a_network_and_of_a_table_give_finite_gradients(raw: float):
    for column in (
        started(NumberColumn(components=2), numbers(0)),
        started(NumberColumn(1.0, lower=-0.5, atoms=[0.0], components=2), numbers(0).abs().round()),
        values()[0],
    ):
        numbers_of_net = torch.full((3, column.outputs), raw, requires_grad=True)
        found = column.log_prob(numbers_of_net, torch.tensor([0.0, 7.0, 1e6], dtype=torch.float64))
        found[found.isfinite()].sum().backward()
        assert numbers_of_net.grad.isfinite().all()


def test_impossible_values():
    assert math.isinf(float(labels()[0].log_prob(torch.zeros(1, 3), torch.tensor([0.5]).double())))
    assert math.isinf(float(values()[0].log_prob(torch.zeros(1, 4), torch.tensor([20.0]).double())))
    column = started(NumberColumn(lower=0.0), numbers(0).exp())
    assert math.isinf(float(column.log_prob(torch.zeros(1, column.outputs), torch.tensor([-1.0]).double())))
    assert math.isinf(float(LabelColumn(2).log_prob(torch.zeros(1, 2), torch.tensor([2.0]).double())))


def test_errors():
    with pytest.raises(DataError, match="where a code"):
        LabelColumn(2).initialise(torch.tensor([0.5]))
    with pytest.raises(UsageError, match="ascending"):
        ValueColumn([1.0, 1.0])
    with pytest.raises(UsageError, match="step"):
        NumberColumn(-1.0)
    with pytest.raises(UsageError, match="atoms"):
        NumberColumn(atoms=[1.0, 0.0])


def test_quantiles_at_a_level_for_each_row():
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    counts, _ = values()
    for column in (counts, started(NumberColumn(components=3), numbers(0)), LabelColumn(4)):
        raw = some_raw(column)
        each = torch.stack([column.quantile(raw, float(level))[0] for level in levels])
        assert torch.equal(column.quantile(raw.expand(3, -1), levels), each)
