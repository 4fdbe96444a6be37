"""Modes that an approximation leaves out, one by one and together."""

import math

import torch

from logpx.posteriors.approximations.families import normal
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.diagnostics.missed_modes import missed_mode
from logpx.posteriors.target.target import Target


def log_density(x):
    """A normal at 0, and 20 small ones with 0.4 % of its mass each."""
    centres = torch.cat([torch.zeros(1), 100.0 + 20.0 * torch.arange(20)]).double()
    masses = torch.tensor([1.0] + 20 * [0.004]).double().log()
    each = torch.distributions.Normal(centres, 1.0).log_prob(x)
    return torch.logsumexp(each + masses, -1)


def missed_of(number):
    target = Target(log_density, 1)
    q = normal(torch.zeros(1).double(), torch.eye(1).double())
    modes = (100.0 + 20.0 * torch.arange(number)).double()[:, None]
    masses = torch.full((number,), math.log(0.004)).double()
    return missed_mode(weigh(q, target, 1000, 0), q, target, modes, masses, 0.0)


def test_a_single_mode_of_little_mass_does_not_matter():
    assert missed_of(1) is None


def test_many_of_them_together_do():
    assert missed_of(20) is not None
