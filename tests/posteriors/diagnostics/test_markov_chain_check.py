"""Draws that wander: those of the target stay, those that leave a part of it out do not."""

import torch

from logpx.distributions import StandardNormal
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.diagnostics.markov_chain_check import share_that_leaves
from logpx.posteriors.target.target import Target


def left(log_density, size: int = 2) -> float:
    target, q = Target(log_density, size), StandardNormal(size).double()
    return share_that_leaves(weigh(q, target, 10_000, seed=0), q, target, seed=1)


def test_draws_of_the_target_stay():
    assert left(lambda x: -0.5 * x.square().sum(1)) == 0.0


def test_a_wider_proposal_stays_too():
    assert left(lambda x: -0.5 * (x / 0.7).square().sum(1)) == 0.0


def test_mass_beyond_all_draws_is_found():
    # A ridge that leads from where the draws are to ten deviations away.
    def ridge(x: torch.Tensor) -> torch.Tensor:
        return -0.5 * x[:, 1].square() - 0.5 * torch.relu(-x[:, 0]).square() - torch.relu(x[:, 0] - 10.0)

    assert left(ridge) > 0.05


def test_few_draws_take_few_steps():
    target, q = Target(lambda x: -0.5 * x.square().sum(1), 3), StandardNormal(3).double()
    assert share_that_leaves(weigh(q, target, 50, seed=0), q, target, seed=1) == 0.0
