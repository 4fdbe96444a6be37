"""The E-step's view of rows under normal components: which sums, and how they are taken fast and exactly."""

from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.e_step.choice import normal_e_step
from logpx.latent.e_step.missing import Conditionals, grouped

__all__ = ["Conditionals", "NormalEStep", "NormalParameters", "grouped", "normal_e_step"]
