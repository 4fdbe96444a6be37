"""Surprisals of cells given the others, against the closed form of a normal distribution."""

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions import FullNormal, Mixture
from logpx.errors import UsageError
from logpx.tables import ColumnScales, Support, TableDensity, fit_table
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.quadrature import QuadratureDensity, integrable
from logpx.tables.conditioning.surprisals import CellSurprisals

COVARIANCE = np.array([[4.0, 3.8, 0.5], [3.8, 4.0, 0.2], [0.5, 0.2, 1.0]])
PRECISION = np.linalg.inv(COVARIANCE)


def rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal([1.0, 2.0, 3.0], COVARIANCE, count)


def expected(x: np.ndarray) -> np.ndarray:
    """Return the surprisals under the normal distribution that rows are drawn from."""
    deviations = (x - [1.0, 2.0, 3.0]) @ PRECISION / np.diag(PRECISION)
    return -stats.norm.logpdf(deviations, scale=np.diag(PRECISION) ** -0.5)


@pytest.fixture(scope="module")
def normal() -> TableDensity:
    """Return the density in units of columns, that cannot integrate missing cells out."""
    model = FullNormal(3).double()
    columns = ColumnScales.standard(rows(4000, 0), [Support()] * 3)
    y, _ = columns.forward(torch.tensor(rows(200_000, 1)))
    model.update(model.statistics(y))
    assert not model.allows_missing
    return TableDensity(columns, model)


def test_quadrature_gives_the_closed_form(normal: TableDensity) -> None:
    cells = CellSurprisals(normal, Supports([Support()] * 3))
    assert (cells.kind, cells.by_quadrature) == ("estimate", True)
    x = rows(50, 2)
    np.testing.assert_allclose(cells.of(torch.tensor(x)).numpy(), expected(x), atol=0.05)


def test_quantiles_by_quadrature_are_those_of_the_closed_form(normal: TableDensity) -> None:
    cells, x = CellSurprisals(normal, Supports([Support()] * 3)), rows(20, 3)
    levels = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    found = cells.expected(torch.tensor(x), 1).quantiles(levels).numpy()
    deviation = PRECISION[1, 1] ** -0.5
    centre = x[:, 1] - (x - [1.0, 2.0, 3.0]) @ PRECISION[1] / PRECISION[1, 1]
    np.testing.assert_allclose(found, centre[:, None] + deviation * stats.norm.ppf(levels), atol=0.06)


def test_a_stack_of_both_kinds_is_integrated(normal: TableDensity) -> None:
    mixture = fit_table(rows(2000, 4), "gmm", components=1, max_time=5).model.density
    stack = Mixture([normal, mixture], [0.5, 0.5])
    x = rows(20, 5)
    found = CellSurprisals(stack, Supports([Support()] * 3)).of(torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, expected(x), atol=0.25)


def test_closed_forms_are_taken_where_there_are_any() -> None:
    model = fit_table(rows(4000, 6), "gaussian", max_time=5).model
    x = rows(40, 7)
    x[0, 1] = np.nan
    found = model.surprisals(x).numpy()
    assert np.isnan(found[0, 1])
    np.testing.assert_allclose(found[1:], expected(x[1:]), atol=0.25)
    assert not integrable(model.density)[1]


def test_two_missing_cells_are_too_many_for_quadrature(normal: TableDensity) -> None:
    density = QuadratureDensity(normal.columns, normal.model)
    with pytest.raises(UsageError, match="several cells"):
        density.log_prob(torch.tensor([[np.nan, np.nan, 0.0]]))
