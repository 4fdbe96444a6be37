"""Kinds of covariance, each an object that owns its parameters, its M-step and its density."""

from logpx.latent.covariances.base import Covariance
from logpx.latent.covariances.diagonal import DiagonalCovariance, SphericalCovariance
from logpx.latent.covariances.factors import FactorCovariance
from logpx.latent.covariances.full import FullCovariance
from logpx.latent.covariances.kinds import COVARIANCES, covariance_named
from logpx.latent.covariances.low_rank import LowRankCovariance
from logpx.latent.covariances.principal import PrincipalCovariance

__all__ = [
    "COVARIANCES",
    "Covariance",
    "DiagonalCovariance",
    "FactorCovariance",
    "FullCovariance",
    "LowRankCovariance",
    "PrincipalCovariance",
    "SphericalCovariance",
    "covariance_named",
]
