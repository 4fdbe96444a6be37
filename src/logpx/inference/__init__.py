"""Inference: expectation maximisation, and objectives for gradient descent."""

from logpx.inference.dimension_choice import (
    DIMENSION_CRITERIA,
    DimensionChoice,
    DimensionRow,
    choose_dimension,
)
from logpx.inference.em import EMModel, EMResult, expectation_maximisation
from logpx.inference.model_choice import Choice, ChoiceRow, choose_mixture, criteria_of
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
from logpx.inference.restarts import MixtureModel, Restarts, expectation_maximisation_from

__all__ = [
    "DIMENSION_CRITERIA",
    "Choice",
    "ChoiceRow",
    "DimensionChoice",
    "DimensionRow",
    "EMModel",
    "EMResult",
    "GradientEstimator",
    "LogDensity",
    "MixtureModel",
    "PathGradient",
    "Restarts",
    "StickingTheLanding",
    "TotalGradient",
    "choose_dimension",
    "choose_mixture",
    "criteria_of",
    "cross_entropy",
    "expectation_maximisation",
    "expectation_maximisation_from",
    "forward_kl",
    "online_expectation_maximisation",
    "reverse_kl",
]
