"""The E-step for normal components: which sums over rows it takes, fast and exactly."""

from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.e_step.choice import normal_e_step, numbers_per_row
from logpx.latent.e_step.missing import Conditionals, grouped

__all__ = ["Conditionals", "NormalEStep", "NormalParameters", "grouped", "normal_e_step", "numbers_per_row"]
