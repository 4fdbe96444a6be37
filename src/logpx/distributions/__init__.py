"""Distributions: log_prob and sample."""

from logpx.distributions.as_torch import TorchDistribution
from logpx.distributions.base import Distribution, LowerBound
from logpx.distributions.flow import Flow
from logpx.distributions.from_torch import FromTorch
from logpx.distributions.mixture import Mixture
from logpx.distributions.moments import Moments
from logpx.distributions.normal import DiagonalNormal, FullNormal, StandardNormal
from logpx.distributions.order_agnostic import OrderAgnostic
from logpx.distributions.product import Product
from logpx.distributions.student_t import StudentT
from logpx.distributions.uniform import Uniform

__all__ = [
    "DiagonalNormal",
    "Distribution",
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
    "TorchDistribution",
    "Uniform",
]
