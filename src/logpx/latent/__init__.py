"""Latent-variable models."""

from logpx.latent.gaussian_mixture import GaussianMixture
from logpx.latent.statistics import MixtureStatistics

__all__ = ["GaussianMixture", "MixtureStatistics"]
