"""The E-step's view of rows under normal components: which sums, and how they are taken fast and exactly."""

from logpx.latent.moments.base import Moments, Parameters
from logpx.latent.moments.choice import moments_for
from logpx.latent.moments.missing import Conditionals, grouped

__all__ = ["Conditionals", "Moments", "Parameters", "grouped", "moments_for"]
