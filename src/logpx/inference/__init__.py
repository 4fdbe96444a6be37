"""Inference: expectation maximisation, and objectives for gradient descent."""

from logpx.inference.em import EMModel, EMResult, expectation_maximisation
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

__all__ = [
    "EMModel",
    "EMResult",
    "GradientEstimator",
    "LogDensity",
    "PathGradient",
    "StickingTheLanding",
    "TotalGradient",
    "cross_entropy",
    "expectation_maximisation",
    "forward_kl",
    "reverse_kl",
]
