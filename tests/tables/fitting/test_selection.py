"""The choice among candidates, and their mixture."""

import math

import pytest
import torch
from scipy import optimize

from logpx.distributions import StandardNormal
from logpx.tables.fitting.selection import Candidate, choose, stack


def _candidate(name: str, log_prob: torch.Tensor) -> Candidate:
    return Candidate(
        model=name, scales="standard", density=StandardNormal(1), log_prob=log_prob.double(), seconds=1.0
    )


def test_the_highest_validation_likelihood_wins() -> None:
    good, bad = _candidate("good", torch.full((100,), -1.0)), _candidate("bad", torch.full((100,), -2.0))
    assert choose([bad, good]) is good
    assert choose([good, bad]) is good


def test_an_impossible_validation_row_loses() -> None:
    log_prob = torch.zeros(100)
    log_prob[3] = -math.inf
    assert choose([_candidate("a", log_prob), _candidate("b", torch.full((100,), -50.0))]).model != "a"


def test_weights_are_those_of_a_direct_optimiser() -> None:
    log_prob = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double() + torch.tensor(
        [0.3, 0.0]
    )
    mixture = stack([_candidate("a", log_prob[:, 0]), _candidate("b", log_prob[:, 1])])
    assert mixture is not None
    p = log_prob.exp().numpy()
    best = optimize.minimize_scalar(
        lambda w: -torch.tensor(w * p[:, 0] + (1 - w) * p[:, 1]).log().mean().item(),
        bounds=(0, 1),
        method="bounded",
    )
    assert mixture.score == pytest.approx(-best.fun, abs=1e-4)
    assert torch.softmax(mixture.density.logits, 0)[0].item() == pytest.approx(best.x, abs=0.02)


def test_candidates_that_complement_each_other_are_mixed() -> None:
    left, right = torch.full((100,), -1.0), torch.full((100,), -1.0)
    left[:50], right[50:] = -9.0, -9.0
    chosen = choose([_candidate("a", left), _candidate("b", right)])
    assert chosen.model == "a + b"
    assert chosen.score == pytest.approx(-1.0 + math.log(0.5), abs=1e-3)


def test_few_rows_are_not_enough_to_mix() -> None:
    assert stack([_candidate("a", torch.zeros(20)), _candidate("b", torch.zeros(20))]) is None


def test_a_useless_candidate_gets_no_weight() -> None:
    assert stack([_candidate("a", torch.zeros(100)), _candidate("b", torch.full((100,), -20.0))]) is None
