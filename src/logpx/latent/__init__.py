"""Latent-variable models."""

from logpx.latent.bernoulli import BernoulliMixture
from logpx.latent.categorical import CategoricalMixture
from logpx.latent.covariances import COVARIANCES
from logpx.latent.dimension import principal_log_evidence
from logpx.latent.gaussian_mixture import GaussianMixture
from logpx.latent.initialisation import STARTS
from logpx.latent.linear_gaussian import FactorAnalysis, LinearGaussian, ProbabilisticPCA
from logpx.latent.mixed_mixture import MixedMixture
from logpx.latent.mixture import LatentMixture
from logpx.latent.mixtures_of_subspaces import MixtureOfFactorAnalysers, MixtureOfPPCA
from logpx.latent.poisson import PoissonMixture
from logpx.latent.priors import ConjugatePrior
from logpx.latent.rotation import Rotation, promax, quartimax, varimax
from logpx.latent.statistics import (
    DiscreteStatistics,
    GaussianStatistics,
    MixtureStatistics,
    ProductStatistics,
)
from logpx.latent.vae import (
    VAE,
    CombinedImportanceWeightedBound,
    DiagonalPosterior,
    DoublyReparameterised,
    EvidenceLowerBound,
    FlowPosterior,
    FullPosterior,
    HierarchicalPosterior,
    HierarchicalPrior,
    ImportanceWeightedBound,
    InferenceGap,
    LatentReport,
    LearnedPrior,
    MultipleImportanceWeightedBound,
    Objective,
    Prior,
    StandardPrior,
    StickingTheLandingBound,
    VampPrior,
    VariationalPosterior,
    inference_gap,
    latent_report,
)

__all__ = [
    "COVARIANCES",
    "STARTS",
    "VAE",
    "BernoulliMixture",
    "CategoricalMixture",
    "CombinedImportanceWeightedBound",
    "ConjugatePrior",
    "DiagonalPosterior",
    "DiscreteStatistics",
    "DoublyReparameterised",
    "EvidenceLowerBound",
    "FactorAnalysis",
    "FlowPosterior",
    "FullPosterior",
    "GaussianMixture",
    "GaussianStatistics",
    "HierarchicalPosterior",
    "HierarchicalPrior",
    "ImportanceWeightedBound",
    "InferenceGap",
    "LatentMixture",
    "LatentReport",
    "LearnedPrior",
    "LinearGaussian",
    "MixedMixture",
    "MixtureOfFactorAnalysers",
    "MixtureOfPPCA",
    "MixtureStatistics",
    "MultipleImportanceWeightedBound",
    "Objective",
    "PoissonMixture",
    "Prior",
    "ProbabilisticPCA",
    "ProductStatistics",
    "Rotation",
    "StandardPrior",
    "StickingTheLandingBound",
    "VampPrior",
    "VariationalPosterior",
    "inference_gap",
    "latent_report",
    "principal_log_evidence",
    "promax",
    "quartimax",
    "varimax",
]
