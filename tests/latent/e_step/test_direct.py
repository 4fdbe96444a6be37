"""Deviations from the means: equal to the formulas however narrow and far away the components are."""

import numpy as np
import pytest
import torch

from logpx.latent import COVARIANCES
from logpx.latent.e_step.direct import DirectDeviations

KINDS = pytest.mark.parametrize("kind", COVARIANCES)


@KINDS
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("chunk", [100, 7])
def test_densities_and_statistics(kind, shift, chunk, make_parameters, densities, expected_statistics):
    parameters = make_parameters(kind, shift=shift)
    # Integers over 256 are exact at the shift, so that no rounding of the rows is to be allowed for.
    x = shift + (256.0 * torch.randn(100, 4, dtype=torch.float64)).round() / 256.0
    shares = torch.rand(3, 100, dtype=torch.float64)
    passed, found = DirectDeviations(parameters), []
    for rows, share in zip(x.split(chunk), shares.split(chunk, 1), strict=True):
        found.append(passed.log_prob(rows))
        passed.add(share)
    np.testing.assert_allclose(torch.cat(found, 1), densities(parameters, x), rtol=1e-10, atol=1e-10)
    statistics, covariance = passed.statistics(), parameters.covariance
    count, mean, scatter = expected_statistics(shares, x - shift, covariance.diagonal, covariance.tied)
    np.testing.assert_allclose(statistics.count[:, :1], count, rtol=1e-12)
    np.testing.assert_allclose(statistics.mean - shift, mean, atol=1e-12 + 1e-15 * shift)
    np.testing.assert_allclose(statistics.scatter, scatter, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["diagonal", "spherical", "tied_diagonal", "tied_spherical"])
def test_missing_cells_drop_out_of_diagonal_sums(kind, make_parameters, densities):
    parameters = make_parameters(kind)
    holes = torch.rand(100, 4) < 0.3
    holes[0] = True
    x = torch.randn(100, 4, dtype=torch.float64).masked_fill(holes, torch.nan)
    shares = torch.rand(3, 100, dtype=torch.float64)
    passed = DirectDeviations(parameters)
    np.testing.assert_allclose(passed.log_prob(x), densities(parameters, x), rtol=1e-10, atol=1e-10)
    passed.add(shares)
    statistics = passed.statistics()
    for k in range(3):
        for j in range(4):
            known = ~holes[:, j]
            share, column = shares[k, known].numpy(), x[known, j].numpy()
            assert statistics.count[k, j].item() == pytest.approx(share.sum())
            assert statistics.mean[k, j].item() == pytest.approx(np.average(column, weights=share))
    squares = [
        (shares[:, known] * (x[known, j] - statistics.mean[:, j, None]) ** 2).sum(1)
        for j, known in enumerate(~holes.T)
    ]
    squares = torch.stack(squares, 1)
    expected = squares.sum(0, keepdim=True) if parameters.covariance.tied else squares
    torch.testing.assert_close(statistics.scatter, expected)


@KINDS
def test_no_rows_are_nothing(kind, make_parameters):
    parameters = make_parameters(kind)
    nothing = DirectDeviations(parameters).statistics()
    assert not nothing.count.any()
    passed = DirectDeviations(parameters)
    passed.log_prob(torch.randn(20, 4, dtype=torch.float64))
    passed.add(torch.rand(3, 20, dtype=torch.float64))
    something = passed.statistics()
    for name in ("count", "mean", "scatter"):
        torch.testing.assert_close(getattr(nothing + something, name), getattr(something, name))
