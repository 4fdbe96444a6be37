"""Posteriors from an unnormalised log-density, with a verdict on their quality."""

from logpx.posteriors import densities
from logpx.posteriors.approximations.methods import FlowFit, FullRank, Laplace, LowRank, MeanField, Method
from logpx.posteriors.approximations.reverse_kl import Descent
from logpx.posteriors.comparison import BayesFactor, compare
from logpx.posteriors.diagnostics.divergences import Divergences
from logpx.posteriors.diagnostics.summaries import Summary
from logpx.posteriors.diagnostics.verdict import Diagnosis, Trust
from logpx.posteriors.find import Mode, find_mode, posterior
from logpx.posteriors.posterior import Posterior
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
from logpx.posteriors.target.factorised import FactorisedJoint
from logpx.posteriors.target.parameters import Parameters

__all__ = [
    "BayesFactor",
    "Constraint",
    "CorrelationCholesky",
    "CovarianceMatrix",
    "Descent",
    "Diagnosis",
    "Divergences",
    "FactorisedJoint",
    "FlowFit",
    "FullRank",
    "Interval",
    "Laplace",
    "LowRank",
    "MeanField",
    "Method",
    "Mode",
    "Ordered",
    "Parameters",
    "Positive",
    "Posterior",
    "Real",
    "Simplex",
    "Stacked",
    "Summary",
    "Trust",
    "compare",
    "densities",
    "find_mode",
    "posterior",
]
