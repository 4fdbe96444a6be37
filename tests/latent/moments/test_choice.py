"""The way of summing: fast where squares may be expanded, deviations where they may not."""

import numpy as np
import pytest
import torch

from logpx.latent import COVARIANCES
from logpx.latent.moments import Parameters, moments_for
from logpx.latent.moments.direct import DirectDeviations
from logpx.latent.moments.missing import MissingCells
from logpx.latent.moments.packed import DiagonalFeatures, PackedFeatures, PooledFeatures


def far(parameters):
    """Return parameters whose first component is too far away for expanded squares."""
    means = parameters.means.clone()
    means[0] += 1e6
    return Parameters(means, parameters.covariance, parameters.centre, parameters.scale)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_each_kind_has_its_way(kind, make_parameters):
    parameters = make_parameters(kind)
    covariance = parameters.covariance
    fast = PooledFeatures if covariance.tied else PackedFeatures
    fast = DiagonalFeatures if covariance.diagonal else fast
    assert type(moments_for(parameters, missing=False)) is fast
    assert type(moments_for(far(parameters), missing=False)) is DirectDeviations
    holes = DiagonalFeatures if covariance.diagonal else MissingCells
    assert type(moments_for(parameters, missing=True)) is holes


def test_many_features_are_not_multiplied_out(make_parameters):
    assert type(moments_for(make_parameters("full", features=65), missing=False)) is DirectDeviations
    assert type(moments_for(make_parameters("tied", features=65), missing=False)) is PooledFeatures


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
    parameters = Parameters(means, covariance, torch.zeros(3).double(), torch.ones(3).double())
    x = means[0] + covariance.spread(torch.zeros(20).long(), torch.randn(20, 3, dtype=torch.float64))
    found = moments_for(parameters, missing=False).log_prob(x)[0]
    np.testing.assert_allclose(found, densities(parameters, x)[0], rtol=0, atol=2e-8)
