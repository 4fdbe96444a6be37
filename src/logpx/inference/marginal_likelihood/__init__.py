"""Every way to a number for log p(x): exact, a bound, or an estimate, and said which."""

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
