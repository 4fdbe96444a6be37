"""Objectives: divergences between a model and a target, each with the value that its name says."""

from logpx.inference.objectives.estimators import (
    GradientEstimator,
    PathGradient,
    StickingTheLanding,
    TotalGradient,
)
from logpx.inference.objectives.forward import cross_entropy, forward_kl
from logpx.inference.objectives.reverse import reverse_kl
from logpx.inference.objectives.target import LogDensity

__all__ = [
    "GradientEstimator",
    "LogDensity",
    "PathGradient",
    "StickingTheLanding",
    "TotalGradient",
    "cross_entropy",
    "forward_kl",
    "reverse_kl",
]
