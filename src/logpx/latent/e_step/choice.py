"""Chooses the way of summing that suits the covariances and the rows."""

from __future__ import annotations

from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.e_step.direct import DirectDeviations
from logpx.latent.e_step.filled import FilledRows
from logpx.latent.e_step.missing import MissingCells
from logpx.latent.e_step.packed import DiagonalFeatures, PackedFeatures, PooledFeatures

__all__ = ["normal_e_step"]

# With more features, products of all pairs cost more than deviations from every mean.
_MOST_FEATURES = 64


def normal_e_step(parameters: NormalParameters, missing: bool) -> NormalEStep:
    """Return the fastest exact way of summing.

    Parameters
    ----------
    parameters
        Where the densities are taken.
    missing
        Whether cells are missing.
    """
    covariance = parameters.covariance
    if missing and not covariance.diagonal:
        return FilledRows(parameters) if parameters.well_conditioned() else MissingCells(parameters)
    if not parameters.safe():
        return DirectDeviations(parameters)
    if covariance.diagonal:
        return DiagonalFeatures(parameters, missing)
    if covariance.tied:
        return PooledFeatures(parameters)
    if covariance.features <= _MOST_FEATURES:
        return PackedFeatures(parameters)
    return DirectDeviations(parameters)
