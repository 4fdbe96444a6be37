"""The way of summing: fast where squares may be expanded, deviations where they may not."""

import numpy as np
import pytest
import torch

from logpx.latent import COVARIANCES
from logpx.latent.e_step import NormalParameters, normal_e_step
from logpx.latent.e_step.direct import DirectDeviations
from logpx.latent.e_step.filled import FilledRows
from logpx.latent.e_step.missing import MissingCells
from logpx.latent.e_step.packed import DiagonalFeatures, PackedFeatures, PooledFeatures
from logpx.latent.e_step.whitened import WhitenedRows


def far(parameters):
    """Return parameters whose first component is too far away for expanded squares."""
    means = parameters.means.clone()
    means[0] += 1e6
    return NormalParameters(means, parameters.covariance, parameters.centre, parameters.scale)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_each_kind_has_its_way(kind, make_parameters):
    parameters = make_parameters(kind)
    covariance = parameters.covariance
    fast = PooledFeatures if covariance.tied else PackedFeatures
    fast = DiagonalFeatures if covariance.diagonal else fast
    assert type(normal_e_step(parameters, missing=False)) is fast
    assert type(normal_e_step(far(parameters), missing=False)) is DirectDeviations
    holes = DiagonalFeatures if covariance.diagonal else FilledRows
    assert type(normal_e_step(parameters, missing=True)) is holes


@pytest.mark.parametrize("almost", [1e-2, 1e-4])
def test_cells_that_others_almost_determine_are_filled_in_exactly(almost, make_parameters, densities):
    parameters = make_parameters("full", features=3)
    covariance = parameters.covariance
    covariance.lowers[:, 2, :2] = 1.0
    covariance.log_diagonals[:, 2] = np.log(almost)
    way = FilledRows if almost > 1e-3 else MissingCells
    x = torch.randn(40, 3, dtype=torch.float64)
    x[:20, 1:] = torch.nan
    passed = normal_e_step(parameters, missing=True)
    assert type(passed) is way
    found = passed.log_prob(x)
    np.testing.assert_allclose(found[:, :20], densities(parameters, x)[:, :20], rtol=1e-9)
    reference = MissingCells(parameters)
    reference.log_prob(x)
    shares = torch.rand(3, 40, dtype=torch.float64)
    for moments in (passed, reference):
        moments.add(shares)
    same = passed.statistics(), reference.statistics()
    torch.testing.assert_close(same[0].mean, same[1].mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(same[0].scatter, same[1].scatter, rtol=1e-9, atol=1e-9)


def test_the_condition_does_not_depend_on_units(make_parameters):
    parameters = make_parameters("full", features=2)
    units = torch.tensor([1e-9, 1e9], dtype=torch.float64)
    covariance = parameters.covariance
    covariance.lowers *= units[:, None]
    covariance.log_diagonals += units.log()
    moved = NormalParameters(
        parameters.means * units, covariance, parameters.centre * units, parameters.scale * units
    )
    assert moved.well_conditioned()


def test_many_features_are_not_multiplied_out(make_parameters):
    many = make_parameters("full", components=30, features=65)
    assert type(normal_e_step(many, missing=False)) is WhitenedRows
    assert type(normal_e_step(far(many), missing=False)) is DirectDeviations
    assert type(normal_e_step(make_parameters("full", components=30, features=64), False)) is PackedFeatures
    assert type(normal_e_step(make_parameters("tied", features=65), missing=False)) is PooledFeatures


@pytest.mark.parametrize(("components", "features"), [(1, 16), (2, 43), (3, 71)])
def test_few_components_of_many_features_are_whitened_together(
    components, features, make_parameters, densities, expected_statistics
):
    parameters = make_parameters("full", components, features)
    passed = normal_e_step(parameters, missing=False)
    assert type(passed) is WhitenedRows
    x = 2.0 * torch.randn(60, features, dtype=torch.float64)
    shares = torch.rand(components, 60, dtype=torch.float64)
    found = []
    for rows, share in zip(x.split(32), shares.split(32, 1), strict=True):
        found.append(passed.log_prob(rows))
        passed.add(share)
    np.testing.assert_allclose(torch.cat(found, 1), densities(parameters, x), rtol=1e-10)
    statistics = passed.statistics()
    count, mean, scatter = expected_statistics(shares, x, diagonal=False, tied=False)
    np.testing.assert_allclose(statistics.count, count, rtol=1e-12)
    np.testing.assert_allclose(statistics.mean, mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(statistics.scatter, scatter, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("narrow", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("distance", [1.0, 1e2, 1e4])
def test_what_is_chosen_is_exact_at_the_rows_of_a_component(
    kind, narrow, distance, make_parameters, densities
):
    parameters = make_parameters(kind, features=3)
    covariance = parameters.covariance
    with torch.no_grad():
        for name, values in covariance.named_parameters():
            scales = "log" in name
            values.copy_(
                values + np.log(narrow) * (2 if "noise" in name else 1) if scales else values * narrow
            )
    means = distance * parameters.means
    parameters = NormalParameters(means, covariance, torch.zeros(3).double(), torch.ones(3).double())
    x = means[0] + covariance.spread(torch.zeros(20).long(), torch.randn(20, 3, dtype=torch.float64))
    found = normal_e_step(parameters, missing=False).log_prob(x)[0]
    np.testing.assert_allclose(found, densities(parameters, x)[0], rtol=0, atol=2e-8)
