"""Normal distributions: closed-form fits, against numpy."""

import math

import numpy as np
import pytest
import torch

from logpx.distributions import DiagonalNormal, FullNormal, Moments, StandardNormal
from logpx.errors import DataError

KINDS = [DiagonalNormal, FullNormal]


@pytest.fixture
def rows():
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.7, 0.4, 0.0], [-0.3, 0.2, 2.0]], dtype=torch.float64)
    return torch.randn(200, 3, dtype=torch.float64) @ mixing.mT + torch.tensor([1.0, -20.0, 300.0])


def fitted(kind, rows, weights=None):
    model = kind(rows.shape[1]).double()
    model.update(model.statistics(rows, weights))
    return model


def test_full_covariance_is_numpys(rows):
    model = fitted(FullNormal, rows)
    np.testing.assert_allclose(model.mean.detach(), rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model.covariance.detach(), np.cov(rows.T, bias=True), rtol=1e-10)


def test_weighted_covariance_is_numpys(rows):
    weights = torch.rand(200, dtype=torch.float64)
    model = fitted(FullNormal, rows, weights)
    np.testing.assert_allclose(model.mean.detach(), np.average(rows, 0, weights), rtol=1e-12)
    expected = np.cov(rows.T, aweights=weights.numpy(), ddof=0)
    np.testing.assert_allclose(model.covariance.detach(), expected, rtol=1e-10)


def test_diagonal_variance_is_numpys(rows):
    model = fitted(DiagonalNormal, rows)
    np.testing.assert_allclose(model.mean.detach(), rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model.log_scale.exp().detach(), rows.numpy().std(0), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_at_the_fit_is_zero(kind, rows):
    model = fitted(kind, rows)
    model.log_prob(rows).mean().backward()
    for parameter in model.parameters():
        assert parameter.grad.abs().max() < 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [1e3, 1e6])
def test_translation_changes_nothing_but_the_mean(kind, rows, shift):
    plain, moved = fitted(kind, rows), fitted(kind, rows + shift)
    with torch.no_grad():
        torch.testing.assert_close(moved.mean - shift, plain.mean, rtol=0, atol=1e-8)
        torch.testing.assert_close(moved.log_prob(rows + shift), plain.log_prob(rows), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-20])
def test_a_constant_column_is_named(kind, rows, value):
    rows[:, 1] = value
    with pytest.raises(DataError, match="column 1") as error:
        fitted(kind, rows)
    assert error.value.fix


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_any_scale(kind, rows):
    scales = torch.tensor([1e-20, 1.0, 1e20], dtype=torch.float64)
    change = torch.log(scales).sum()
    plain, scaled = fitted(kind, rows), fitted(kind, rows * scales)
    torch.testing.assert_close(scaled.log_prob(rows * scales) + change, plain.log_prob(rows))


def test_a_dependent_column_is_named(rows):
    rows[:, 2] = 2.0 * rows[:, 0] - rows[:, 1]
    with pytest.raises(DataError, match="column 2"):
        fitted(FullNormal, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_rows(kind, rows):
    with pytest.raises(DataError, match="no rows"):
        fitted(kind, rows[:0])
    with pytest.raises(DataError, match="same value"):
        fitted(kind, rows[:1])
    with pytest.raises(DataError, match="no rows"):
        fitted(kind, rows, torch.zeros(200))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_values_that_are_not_finite_are_refused(kind, rows, value):
    rows[5, 1] = value
    with pytest.raises(DataError, match="column 1"):
        fitted(kind, rows)


def test_update_from_chunks(rows):
    model, whole = FullNormal(3).double(), fitted(FullNormal, rows)
    parts = [model.statistics(part) for part in rows.split(17)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert isinstance(total, Moments)
    model.update(total)
    torch.testing.assert_close(model.covariance, whole.covariance, rtol=1e-12, atol=1e-12)


def test_noise_is_scored_as_rows_are():
    normal = StandardNormal(3)
    z = torch.randn(6, 3, dtype=torch.float64)
    assert torch.equal(normal.log_prob_of_noise(z), normal.log_prob(z))
    reference = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(normal.log_prob_of_noise(z), reference, rtol=1e-14, atol=1e-14)
    z[0, 1], z[1, 2] = math.inf, math.nan
    found = normal.log_prob_of_noise(z)
    assert found[0] == -math.inf
    assert found[1].isnan()
    assert found[2:].isfinite().all()


def test_a_sum_of_cells_that_overflows_is_no_infinite_cell():
    normal = DiagonalNormal(2)
    with torch.no_grad():
        normal.log_scale.fill_(80.0)
    x = torch.tensor([[3e38, 3e38], [0.0, 0.0]])
    found = normal.log_prob(x).detach()
    assert found.isfinite().all()
    torch.testing.assert_close(found[1], normal.log_prob(torch.zeros(1, 2))[0].detach())
