"""Diagonal and spherical covariances: averages of squares, with columns counted apart."""

import pytest
import torch
from scipy.stats import norm

from logpx.latent.covariances import DiagonalCovariance, SphericalCovariance

SQUARES = torch.tensor([[1.0, 4.0], [9.0, 0.25]], dtype=torch.float64)
COUNTS = torch.tensor([[3.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
FLOOR = torch.full((2,), 1e-9, dtype=torch.float64)


def test_update_takes_the_squares():
    covariance = DiagonalCovariance(2, 2).double()
    covariance.update(SQUARES, COUNTS, FLOOR)
    torch.testing.assert_close(covariance.variances().detach(), SQUARES)


def test_one_variance_weighs_columns_by_their_counts():
    covariance = SphericalCovariance(2, 2).double()
    covariance.update(SQUARES, COUNTS, FLOOR)
    expected = torch.tensor([(3.0 * 1.0 + 1.0 * 4.0) / 4.0, (9.0 + 0.25) / 2.0], dtype=torch.float64)
    torch.testing.assert_close(covariance.variances().detach(), expected[:, None].expand(2, 2))


def test_every_feature_alone_is_a_normal_density():
    covariance = DiagonalCovariance(1, 2).double()
    covariance.update(SQUARES[:1], COUNTS[:1], FLOOR)
    deviations = torch.randn(1, 20, 2, dtype=torch.float64)
    expected = norm(scale=[1.0, 2.0]).logpdf(deviations)
    torch.testing.assert_close(covariance.log_normal_of_each(deviations).detach(), torch.from_numpy(expected))


def test_variances_below_the_floor_are_raised_to_it():
    covariance = DiagonalCovariance(2, 2).double()
    covariance.update(SQUARES, COUNTS, torch.tensor([2.0, 0.5]).double())
    expected = torch.tensor([[2.0, 4.0], [9.0, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(covariance.variances().detach(), expected)


@pytest.mark.parametrize("kind", [DiagonalCovariance, SphericalCovariance])
def test_a_floor_that_differs_between_columns_holds_and_is_the_optimum(kind):
    covariance = kind(1, 2).double()
    squares, floor = torch.tensor([[0.5, 1e-3]]).double(), torch.tensor([1.0, 1e-6]).double()
    covariance.update(squares, torch.ones(1, 2).double(), floor)
    assert covariance.smallest(floor) >= 1.0 - 1e-12


def test_a_column_without_rows_does_not_hold_up_the_others():
    covariance = DiagonalCovariance(1, 2).double()
    covariance.update(torch.tensor([[9.0, 0.0]]).double(), torch.tensor([[5.0, 0.0]]).double(), FLOOR)
    assert covariance.variances()[0, 0].item() == pytest.approx(9.0)
