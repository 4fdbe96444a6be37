"""Posteriors from an unnormalised log-density, with a verdict on their quality."""

from logpx.posteriors import densities
from logpx.posteriors.comparison import BayesFactor, compare
from logpx.posteriors.constraints import (
    Constraint,
    CorrelationCholesky,
    Covariance,
    Interval,
    Ordered,
    Positive,
    Real,
    Simplex,
    Stacked,
)
from logpx.posteriors.descent import Descent
from logpx.posteriors.diagnosis import Diagnosis, Trust
from logpx.posteriors.divergences import Divergences
from logpx.posteriors.find import Mode, find_mode, posterior
from logpx.posteriors.joint import FactorisedJoint
from logpx.posteriors.methods import FlowFit, FullRank, Laplace, LowRank, MeanField, Method
from logpx.posteriors.parameters import Parameters
from logpx.posteriors.posterior import Posterior
from logpx.posteriors.summaries import Summary

__all__ = [
    "BayesFactor",
    "Constraint",
    "CorrelationCholesky",
    "Covariance",
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
