"""Posteriors from an unnormalised log-density, with a verdict on their quality."""

from logpx.posteriors import densities
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.landscape import Landscape
from logpx.posteriors.approximations.methods import (
    METHODS,
    FlowFit,
    FullRank,
    Laplace,
    LowRank,
    MeanField,
    NestedSampling,
    PosteriorMethod,
    SequentialMonteCarlo,
)
from logpx.posteriors.approximations.reverse_kl import ReverseKL
from logpx.posteriors.comparison import BayesFactor, compare
from logpx.posteriors.diagnostics.divergences import Divergences
from logpx.posteriors.diagnostics.summaries import Summary
from logpx.posteriors.diagnostics.verdict import Diagnosis, Trust
from logpx.posteriors.evidence_from_draws import EvidenceFromDraws, evidence_from_draws
from logpx.posteriors.find import Mode, find_mode, posterior
from logpx.posteriors.posterior import Posterior
from logpx.posteriors.run import Progress
from logpx.posteriors.target.circular import Circular
from logpx.posteriors.target.constraints import (
    Constraint,
    CorrelationCholesky,
    CovarianceMatrix,
    Interval,
    Ordered,
    Positive,
    Real,
    Simplex,
    Stacked,
)
from logpx.posteriors.target.costs import Cost, Costs
from logpx.posteriors.target.factorised import FactorisedJoint
from logpx.posteriors.target.parameters import Parameters

__all__ = [
    "METHODS",
    "Approximation",
    "BayesFactor",
    "Circular",
    "Constraint",
    "CorrelationCholesky",
    "Cost",
    "Costs",
    "CovarianceMatrix",
    "Diagnosis",
    "Divergences",
    "EvidenceFromDraws",
    "FactorisedJoint",
    "FlowFit",
    "FullRank",
    "Interval",
    "Landscape",
    "Laplace",
    "LowRank",
    "MeanField",
    "Mode",
    "NestedSampling",
    "Ordered",
    "Parameters",
    "Positive",
    "Posterior",
    "PosteriorMethod",
    "Progress",
    "Real",
    "ReverseKL",
    "SequentialMonteCarlo",
    "Simplex",
    "Stacked",
    "Summary",
    "Trust",
    "compare",
    "densities",
    "evidence_from_draws",
    "find_mode",
    "posterior",
]
