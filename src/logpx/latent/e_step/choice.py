"""Chooses the way of summing that suits the covariances and the rows."""

from __future__ import annotations

from logpx.latent.covariances import Covariance
from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.e_step.direct import DirectDeviations
from logpx.latent.e_step.filled import FilledRows
from logpx.latent.e_step.missing import MissingCells
from logpx.latent.e_step.packed import DiagonalFeatures, PackedFeatures, PooledFeatures
from logpx.latent.e_step.whitened import WhitenedRows, part_edges

__all__ = ["normal_e_step", "numbers_per_row"]

# Whitening beats the products of all pairs from so many columns on, with few components from fewer.
_MANY_FEATURES = 65
_FEATURES, _FEATURES_PER_COMPONENT = 16, 4


def _whitens(covariance: Covariance) -> bool:
    """Whether factors of all components are the fastest; of covariances neither diagonal nor tied."""
    least = min(_MANY_FEATURES, max(_FEATURES, _FEATURES_PER_COMPONENT * covariance.components))
    return covariance.features >= least


def numbers_per_row(covariance: Covariance) -> int:
    """Return how many numbers a pass has in hand for each complete row."""
    components, features = covariance.components, covariance.features
    if covariance.diagonal or covariance.tied:
        return max(components, 2 * features)
    if _whitens(covariance):
        start, end = part_edges(features)[-2:]
        return max(features, components * (end - start))
    return max(components, features * (features + 3) // 2)


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
    return WhitenedRows(parameters) if _whitens(covariance) else PackedFeatures(parameters)
