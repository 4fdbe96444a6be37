"""The variational autoencoder, its priors, posteriors and objectives."""

from logpx.latent.vae.diagnostics import InferenceGap, LatentReport, inference_gap, latent_report
from logpx.latent.vae.hierarchy import HierarchicalPosterior, HierarchicalPrior
from logpx.latent.vae.model import VAE
from logpx.latent.vae.objectives import (
    CombinedImportanceWeightedBound,
    DoublyReparameterised,
    EvidenceLowerBound,
    ImportanceWeightedBound,
    MultipleImportanceWeightedBound,
    Objective,
    StickingTheLandingBound,
)
from logpx.latent.vae.posteriors import DiagonalPosterior, FlowPosterior, FullPosterior, VariationalPosterior
from logpx.latent.vae.priors import LearnedPrior, Prior, StandardPrior, VampPrior

__all__ = [
    "VAE",
    "CombinedImportanceWeightedBound",
    "DiagonalPosterior",
    "DoublyReparameterised",
    "EvidenceLowerBound",
    "FlowPosterior",
    "FullPosterior",
    "HierarchicalPosterior",
    "HierarchicalPrior",
    "ImportanceWeightedBound",
    "InferenceGap",
    "LatentReport",
    "LearnedPrior",
    "MultipleImportanceWeightedBound",
    "Objective",
    "Prior",
    "StandardPrior",
    "StickingTheLandingBound",
    "VampPrior",
    "VariationalPosterior",
    "inference_gap",
    "latent_report",
]
