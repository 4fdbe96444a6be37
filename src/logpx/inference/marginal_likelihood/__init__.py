"""All methods for log p(x): exact values, bounds and estimates, each labelled as such."""

from logpx.inference.marginal_likelihood.annealed import AnnealedImportanceSampling
from logpx.inference.marginal_likelihood.estimate import METHODS, evidence, simulated_sandwich
from logpx.inference.marginal_likelihood.methods import (
    Elbo,
    EvidenceMethod,
    Exact,
    ImportanceWeighted,
    MonteCarlo,
)
from logpx.inference.marginal_likelihood.model import LatentVariableModel
from logpx.inference.marginal_likelihood.result import Evidence

__all__ = [
    "METHODS",
    "AnnealedImportanceSampling",
    "Elbo",
    "Evidence",
    "EvidenceMethod",
    "Exact",
    "ImportanceWeighted",
    "LatentVariableModel",
    "MonteCarlo",
    "evidence",
    "simulated_sandwich",
]
