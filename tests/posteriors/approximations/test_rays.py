"""Rays from a wide mode that meet a narrow one far from it."""

import math

import torch
from torch.distributions import Normal

from logpx.posteriors.approximations.expansion import Expansion
from logpx.posteriors.approximations.rays import peaks_along_rays
from logpx.posteriors.target.target import Target

FAR = torch.tensor([7.0, -11.0], dtype=torch.float64)


def wide_and_narrow(x):
    parts = Normal(0.0, 1.0).log_prob(x).sum(-1), Normal(FAR, 0.1).log_prob(x).sum(-1)
    return torch.logaddexp(*parts) - math.log(2.0)


def wide_alone():
    return Expansion(torch.zeros(2).double(), torch.eye(2).double(), math.log(0.5))


def test_rays_meet_a_mode_a_tenth_as_wide():
    target = Target(wide_and_narrow, 2)
    found = peaks_along_rays(target, [wide_alone()], 2**15, torch.Generator().manual_seed(0))
    assert float((found - FAR).norm(dim=1).min()) < 2.0


def test_rays_from_a_single_mode_meet_nothing():
    target = Target(lambda x: Normal(0.0, 1.0).log_prob(x).sum(-1), 2)
    found = peaks_along_rays(target, [wide_alone()], 2**15, torch.Generator().manual_seed(0))
    assert not len(found)
