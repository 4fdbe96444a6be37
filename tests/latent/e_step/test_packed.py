"""Densities and sums as matrix products of features: equal to the formulas, chunk by chunk."""

import numpy as np
import pytest
import torch

from logpx.latent.e_step.packed import DiagonalFeatures, PackedFeatures, PooledFeatures
from logpx.latent.e_step.whitened import WhitenedRows

CASES = pytest.mark.parametrize(
    ("moments", "kind"),
    [
        (PackedFeatures, "full"),
        (PackedFeatures, "low_rank"),
        (PackedFeatures, "principal"),
        (WhitenedRows, "full"),
        (WhitenedRows, "low_rank"),
        (WhitenedRows, "principal"),
        (PooledFeatures, "tied"),
        (PooledFeatures, "tied_low_rank"),
        (PooledFeatures, "tied_principal"),
        (DiagonalFeatures, "diagonal"),
        (DiagonalFeatures, "spherical"),
        (DiagonalFeatures, "tied_diagonal"),
        (DiagonalFeatures, "tied_spherical"),
    ],
)
SHIFTS = pytest.mark.parametrize("shift", [0.0, 1e5])


@CASES
@SHIFTS
def test_densities(moments, kind, shift, make_parameters, densities):
    parameters = make_parameters(kind, shift=shift)
    x = shift + 2.0 * torch.randn(100, 4, dtype=torch.float64)
    found = moments(parameters).log_prob(x)
    # Far from the origin a row itself is known to eps times the shift only.
    np.testing.assert_allclose(found, densities(parameters, x), rtol=1e-10, atol=1e-10 + 1e-14 * shift)


@CASES
@SHIFTS
@pytest.mark.parametrize("chunk", [100, 33, 1])
def test_statistics(moments, kind, shift, chunk, make_parameters, expected_statistics):
    parameters = make_parameters(kind, shift=shift)
    x = shift + 2.0 * torch.randn(100, 4, dtype=torch.float64)
    shares = torch.rand(3, 100, dtype=torch.float64)
    passed = moments(parameters)
    for rows, share in zip(x.split(chunk), shares.split(chunk, 1), strict=True):
        passed.log_prob(rows)
        passed.add(share)
    statistics = passed.statistics()
    covariance = parameters.covariance
    count, mean, scatter = expected_statistics(shares, x, covariance.diagonal, covariance.tied)
    np.testing.assert_allclose(statistics.count.expand(count.shape[0], -1)[:, :1], count, rtol=1e-12)
    np.testing.assert_allclose(statistics.mean, mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(statistics.scatter, scatter, rtol=1e-10, atol=1e-10 + 1e-13 * shift)


@pytest.mark.parametrize("kind", ["diagonal", "spherical", "tied_diagonal", "tied_spherical"])
@pytest.mark.parametrize("chunk", [100, 33])
def test_missing_cells_drop_out_of_diagonal_sums(kind, chunk, make_parameters, densities):
    parameters = make_parameters(kind)
    x = 2.0 * torch.randn(100, 4, dtype=torch.float64)
    # The second chunk has no missing cell, the others have.
    holes = torch.rand(100, 4) < 0.3
    holes[33:66] = False
    holes[0] = True
    x = x.masked_fill(holes, torch.nan)
    shares = torch.rand(3, 100, dtype=torch.float64)
    passed = DiagonalFeatures(parameters)
    found = []
    for rows, share in zip(x.split(chunk), shares.split(chunk, 1), strict=True):
        found.append(passed.log_prob(rows).clone())
        passed.add(share)
    np.testing.assert_allclose(torch.cat(found, 1), densities(parameters, x), rtol=1e-10, atol=1e-10)
    statistics = passed.statistics()
    present, values = (~holes).numpy(), torch.nan_to_num(x).numpy()
    count = shares.numpy() @ present
    mean = shares.numpy() @ values / count
    squares = np.stack([s @ (present * (values - m) ** 2) for s, m in zip(shares.numpy(), mean, strict=True)])
    np.testing.assert_allclose(statistics.count, count, rtol=1e-12)
    np.testing.assert_allclose(statistics.mean, mean, rtol=1e-10)
    expected = squares.sum(0, keepdims=True) if parameters.covariance.tied else squares
    np.testing.assert_allclose(statistics.scatter, expected, rtol=1e-10)


@CASES
def test_merged_passes_are_one_pass(moments, kind, make_parameters):
    parameters = make_parameters(kind)
    x, shares = torch.randn(100, 4, dtype=torch.float64), torch.rand(3, 100, dtype=torch.float64)
    parts = []
    for rows in (slice(0, 100), slice(0, 30), slice(30, 100)):
        passed = moments(parameters)
        passed.log_prob(x[rows])
        passed.add(shares[:, rows])
        parts.append(passed.statistics())
    merged = parts[1] + parts[2]
    for name in ("count", "mean", "scatter"):
        torch.testing.assert_close(
            getattr(merged, name), getattr(parts[0], name), rtol=1e-11, atol=1e-11, msg=name
        )
