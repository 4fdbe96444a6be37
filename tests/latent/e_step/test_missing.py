"""Rows with missing cells: grouped by pattern, and filled in with conditional means and covariances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from logpx.latent.e_step import missing
from logpx.latent.e_step.direct import DirectDeviations
from logpx.latent.e_step.filled import FilledRows
from logpx.latent.e_step.missing import Conditionals, MissingCells, grouped

WAYS = pytest.mark.parametrize("way", [FilledRows, MissingCells])
NOT_DIAGONAL = pytest.mark.parametrize("kind", ["full", "tied", "low_rank", "tied_principal"])


def with_holes(rows=80, features=4, share=0.35):
    holes = torch.rand(rows, features) < share
    holes[0] = True
    holes[1] = False
    return torch.randn(rows, features, dtype=torch.float64).masked_fill(holes, torch.nan)


def completed(row, mean, matrix):
    """Return a row's conditional mean and covariance, by numpy."""
    m = np.isnan(row)
    filled, covariance = np.where(m, mean, row), np.zeros_like(matrix)
    gain = np.linalg.solve(matrix[np.ix_(~m, ~m)], matrix[np.ix_(~m, m)]).T
    filled[m] = mean[m] + gain @ (row[~m] - mean[~m])
    covariance[np.ix_(m, m)] = matrix[np.ix_(m, m)] - gain @ matrix[np.ix_(~m, m)]
    return filled, covariance


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 120), st.integers(1, 4), st.sampled_from([1, 100, 10**7]))
def test_groups_have_every_row_once_with_its_pattern(seed, rows, features, per_pattern):
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(rows, features, generator=generator) < 0.6
    seen = []
    for group in grouped(present, per_pattern):
        for pattern, places in zip(group.present, group.rows, strict=True):
            own = places[places >= 0]
            assert (present[own] == pattern).all()
            seen += own.tolist()
    assert sorted(seen) == list(range(rows))


def test_large_patterns_are_cut(monkeypatch):
    monkeypatch.setattr(missing, "_LARGEST_GROUP", 16)
    groups = list(grouped(torch.ones(100, 2, dtype=torch.bool), 4))
    assert all(group.rows.shape[1] <= 16 for group in groups)
    rows = torch.cat([group.rows.flatten() for group in groups])
    assert rows[rows >= 0].sort().values.tolist() == list(range(100))


@WAYS
@NOT_DIAGONAL
@pytest.mark.parametrize("features", [3, 4, 13])
def test_densities_are_those_of_the_cells_that_are_there(way, kind, features, make_parameters, densities):
    parameters = make_parameters(kind, features=features)
    x = with_holes(features=features)
    found = way(parameters).log_prob(x)
    np.testing.assert_allclose(found, densities(parameters, x), rtol=1e-10, atol=1e-10)
    assert not found[:, 0].any()


@WAYS
@NOT_DIAGONAL
@pytest.mark.parametrize(("features", "chunk"), [(4, 80), (4, 9), (11, 30)])
def test_statistics_are_expectations(way, kind, features, chunk, make_parameters):
    parameters = make_parameters(kind, features=features)
    x, shares = with_holes(features=features), torch.rand(3, 80, dtype=torch.float64)
    passed = way(parameters)
    for rows, share in zip(x.split(chunk), shares.split(chunk, 1), strict=True):
        passed.log_prob(rows)
        passed.add(share)
    statistics = passed.statistics()
    matrices = parameters.covariance.matrices().expand(3, -1, -1).numpy()
    scatters = []
    for k in range(3):
        pairs = [completed(row, parameters.means[k].numpy(), matrices[k]) for row in x.numpy()]
        filled, spreads = (np.stack(each) for each in zip(*pairs, strict=True))
        share = shares[k].numpy()
        mean = np.average(filled, 0, share)
        np.testing.assert_allclose(statistics.mean[k], mean, rtol=1e-10, atol=1e-12)
        deviations = filled - mean
        scatters.append((share[:, None] * deviations).T @ deviations + np.einsum("n,nij->ij", share, spreads))
    expected = np.stack(scatters)
    expected = expected.sum(0, keepdims=True) if parameters.covariance.tied else expected
    np.testing.assert_allclose(statistics.count[:, 0], shares.sum(1), rtol=1e-12)
    np.testing.assert_allclose(statistics.scatter, expected, rtol=1e-10, atol=1e-10)


@WAYS
@NOT_DIAGONAL
def test_without_missing_cells_it_is_the_direct_way(way, kind, make_parameters):
    parameters = make_parameters(kind, shift=1e6)
    x, shares = 1e6 + torch.randn(50, 4, dtype=torch.float64), torch.rand(3, 50, dtype=torch.float64)
    found = []
    for moments in (way(parameters), DirectDeviations(parameters)):
        log_prob = moments.log_prob(x)
        moments.add(shares)
        statistics = moments.statistics()
        found.append((log_prob, statistics.count, statistics.mean, statistics.scatter))
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_conditionals_are_numpys(make_parameters):
    parameters = make_parameters("full")
    x = with_holes(20)[1:]
    matrices = parameters.covariance.matrices()
    conditionals = Conditionals(parameters.means, parameters.covariance.roots(), ~x.isnan())
    deviations = conditionals.deviations(torch.nan_to_num(x)[:, None])
    filled, covariances = (
        conditionals.filled(deviations)[:, :, 0] + parameters.means,
        conditionals.covariances(),
    )
    for i, row in enumerate(x.numpy()):
        for k in range(3):
            mean, matrix = completed(row, parameters.means[k].numpy(), matrices[k].numpy())
            np.testing.assert_allclose(filled[i, k], mean, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(covariances[i, k], matrix, rtol=1e-10, atol=1e-12)


@WAYS
def test_no_rows_are_nothing(way, make_parameters):
    nothing = way(make_parameters("tied")).statistics()
    assert not nothing.count.any()
    assert not nothing.scatter.any()
    assert nothing.scatter.shape == (1, 4, 4)
