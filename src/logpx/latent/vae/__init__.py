"""The variational autoencoder, its priors, posteriors and objectives."""

from logpx.latent.vae.diagnostics import LatentReport, latent_report
from logpx.latent.vae.model import VAE
from logpx.latent.vae.objectives import (
    DoublyReparameterised,
    EvidenceLowerBound,
    ImportanceWeightedBound,
    Objective,
    StickingTheLandingBound,
)
from logpx.latent.vae.posteriors import DiagonalPosterior, FlowPosterior, FullPosterior, Posterior
from logpx.latent.vae.priors import LearnedPrior, Prior, StandardPrior, VampPrior

__all__ = [
    "VAE",
    "DiagonalPosterior",
    "DoublyReparameterised",
    "EvidenceLowerBound",
    "FlowPosterior",
    "FullPosterior",
    "ImportanceWeightedBound",
    "LatentReport",
    "LearnedPrior",
    "Objective",
    "Posterior",
    "Prior",
    "StandardPrior",
    "StickingTheLandingBound",
    "VampPrior",
    "latent_report",
]
