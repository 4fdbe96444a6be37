"""Weights of a mixture of approximations, one for each mode."""

import math

import torch

from logpx.posteriors.approximations.families import normal
from logpx.posteriors.approximations.mixtures import mixture_of
from logpx.posteriors.target.target import Target

CENTRES = torch.tensor([0.0, 50.0, 100.0], dtype=torch.float64)
SHARES = torch.tensor([0.9, 0.0995, 0.0005], dtype=torch.float64)


def log_density(x):
    each = torch.distributions.Normal(CENTRES, 1.0).log_prob(x)
    return torch.logsumexp(each + SHARES.log(), -1)


def test_the_weight_of_a_small_mode_does_not_depend_on_how_many_draws_met_it():
    parts = [normal(centre[None], torch.eye(1).double()) for centre in CENTRES]
    for seed in range(3):
        q = mixture_of(parts, SHARES.log().tolist(), Target(log_density, 1), seed)
        assert torch.allclose(torch.softmax(q.logits, 0), SHARES, rtol=1e-6)


def test_weights_are_found_where_the_given_ones_are_wrong():
    parts = [normal(centre[None], torch.eye(1).double()) for centre in CENTRES]
    q = mixture_of(parts, [math.log(0.3), math.log(0.3), math.log(0.4)], Target(log_density, 1), 0)
    found = torch.softmax(q.logits, 0).detach()
    assert torch.allclose(found[:2], SHARES[:2], rtol=0.02)
    assert float(found[2]) < 0.002
