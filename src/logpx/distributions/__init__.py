"""Distributions: log_prob and sample."""

from logpx.distributions.as_torch import TorchDistribution
from logpx.distributions.base import Distribution
from logpx.distributions.exponential import Exponential
from logpx.distributions.flow import Flow
from logpx.distributions.from_torch import FromTorch
from logpx.distributions.lower_bound import LowerBound
from logpx.distributions.mixture import Mixture
from logpx.distributions.moments import Moments
from logpx.distributions.normal import DiagonalNormal, FullNormal, StandardNormal
from logpx.distributions.order_agnostic import OrderAgnostic
from logpx.distributions.product import Product
from logpx.distributions.student_t import StudentT
from logpx.distributions.target_last import TargetLast
from logpx.distributions.truncated_normal import TruncatedNormal
from logpx.distributions.uniform import Uniform

__all__ = [
    "DiagonalNormal",
    "Distribution",
    "Exponential",
    "Flow",
    "FromTorch",
    "FullNormal",
    "LowerBound",
    "Mixture",
    "Moments",
    "OrderAgnostic",
    "Product",
    "StandardNormal",
    "StudentT",
    "TargetLast",
    "TorchDistribution",
    "TruncatedNormal",
    "Uniform",
]
