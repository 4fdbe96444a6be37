"""Inference: expectation maximisation, and objectives for gradient descent."""

from logpx.inference.dimension_choice import (
    DIMENSION_CRITERIA,
    DimensionChoice,
    DimensionRow,
    choose_dimension,
)
from logpx.inference.em import EMMemory, EMModel, EMResult, EMState, expectation_maximisation
from logpx.inference.marginal_likelihood import (
    METHODS,
    AnnealedImportanceSampling,
    Evidence,
    LatentVariableModel,
    evidence,
    simulated_sandwich,
)
from logpx.inference.model_choice import ChoiceRow, MixtureChoice, choose_mixture, criteria_of
from logpx.inference.objectives import (
    GradientEstimator,
    LogDensity,
    PathGradient,
    StickingTheLanding,
    TotalGradient,
    cross_entropy,
    forward_kl,
    reverse_kl,
)
from logpx.inference.online_em import online_expectation_maximisation
from logpx.inference.pareto import k_hat, k_hat_limit
from logpx.inference.restarts import MixtureModel, Restarts, expectation_maximisation_from
from logpx.latent.log_weights import (
    ciwae,
    dreg,
    effective_sample_size,
    elbo,
    iwae,
    iwae_error,
    jackknife,
    miwae,
    stl,
)

__all__ = [
    "DIMENSION_CRITERIA",
    "METHODS",
    "AnnealedImportanceSampling",
    "ChoiceRow",
    "DimensionChoice",
    "DimensionRow",
    "EMMemory",
    "EMModel",
    "EMResult",
    "EMState",
    "Evidence",
    "GradientEstimator",
    "LatentVariableModel",
    "LogDensity",
    "MixtureChoice",
    "MixtureModel",
    "PathGradient",
    "Restarts",
    "StickingTheLanding",
    "TotalGradient",
    "choose_dimension",
    "choose_mixture",
    "ciwae",
    "criteria_of",
    "cross_entropy",
    "dreg",
    "effective_sample_size",
    "elbo",
    "evidence",
    "expectation_maximisation",
    "expectation_maximisation_from",
    "forward_kl",
    "iwae",
    "iwae_error",
    "jackknife",
    "k_hat",
    "k_hat_limit",
    "miwae",
    "online_expectation_maximisation",
    "reverse_kl",
    "simulated_sandwich",
    "stl",
]
