"""Models with the interface of scikit-learn."""

from logpx.estimators.anomaly_detector import AnomalyDetector
from logpx.estimators.base import DensityEstimator
from logpx.estimators.conditional_density import ConditionalDensity
from logpx.estimators.flow_density import FlowDensity
from logpx.estimators.gaussian_mixture import GaussianMixture
from logpx.estimators.linear_gaussian import FactorAnalysis, ProbabilisticPCA
from logpx.estimators.variational_autoencoder import VariationalAutoencoder

__all__ = [
    "AnomalyDetector",
    "ConditionalDensity",
    "DensityEstimator",
    "FactorAnalysis",
    "FlowDensity",
    "GaussianMixture",
    "ProbabilisticPCA",
    "VariationalAutoencoder",
]
