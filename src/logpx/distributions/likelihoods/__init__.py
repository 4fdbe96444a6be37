"""Likelihoods p(x given z), built from a decoder's numbers."""

from logpx.distributions.likelihoods.base import CellDistribution, Likelihood
from logpx.distributions.likelihoods.binary import BernoulliLikelihood, ContinuousBernoulliLikelihood
from logpx.distributions.likelihoods.counts import NegativeBinomialLikelihood, PoissonLikelihood
from logpx.distributions.likelihoods.levels import (
    CategoricalLikelihood,
    DiscretisedLogistic,
    DiscretisedLogisticLikelihood,
)
from logpx.distributions.likelihoods.mixed import ProductLikelihood
from logpx.distributions.likelihoods.real import NormalLikelihood, StudentTLikelihood
from logpx.distributions.likelihoods.scales import (
    DecodedScale,
    FixedScale,
    GlobalScale,
    NoiseScale,
    ScalePerValue,
)

__all__ = [
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "CellDistribution",
    "ContinuousBernoulliLikelihood",
    "DecodedScale",
    "DiscretisedLogistic",
    "DiscretisedLogisticLikelihood",
    "FixedScale",
    "GlobalScale",
    "Likelihood",
    "NegativeBinomialLikelihood",
    "NoiseScale",
    "NormalLikelihood",
    "PoissonLikelihood",
    "ProductLikelihood",
    "ScalePerValue",
    "StudentTLikelihood",
]
