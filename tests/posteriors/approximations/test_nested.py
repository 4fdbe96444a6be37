"""Importance nested sampling against evidences in closed form, and what it says where it fails."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Normal

from logpx.errors import UsageError
from logpx.posteriors import NestedSampling, Trust, posterior


def at(mean: float, scale: float):
    return lambda x: Normal(mean, scale).log_prob(x).sum(-1)


def mixture(*parts):
    return lambda x: torch.logsumexp(
        torch.stack([math.log(share) + log_density(x) for share, log_density in parts]), 0
    )


@pytest.mark.parametrize(
    ("log_density", "dim", "share"),
    [
        (mixture((0.3, at(0.0, 1.0)), (0.7, at(12.0, 0.5))), 1, 0.7),
        pytest.param(mixture((0.5, at(0.0, 1.0)), (0.5, at(8.0, 0.1))), 3, 0.5, marks=pytest.mark.slow),
        # Nine tenths of the mass in a few millionths of the volume.
        (mixture((0.9, at(5.0, 0.05)), (0.1, at(4.0, 3.0))), 3, 0.9 + 0.1 * 0.5),
    ],
    ids=["1", "3", "spike"],
)
def test_evidence_and_shares_are_right(log_density, dim: int, share: float):
    found = posterior(log_density, dim, method="nested", seed=0)
    assert abs(found.log_evidence) < 0.03
    draws = found.sample(4000, seed=1, resampled=True)
    assert abs(float((draws[:, 0] > 4.0).double().mean()) - share) < 0.04


@pytest.mark.slow
def test_evidence_of_a_curved_density_is_that_of_quadrature():
    def log_density(x):
        return Normal(0.0, 0.7).log_prob(x[..., 0]) + 0.5 * Normal(x[..., 0].square(), 0.5).log_prob(
            x[..., 1]
        )

    # The second coordinate integrates to the same number for every first one.
    inner, _ = quad(lambda y: math.exp(0.5 * float(Normal(0.0, 0.5).log_prob(torch.tensor(y)))), -9.0, 9.0)
    found = posterior(log_density, 2, method="nested", seed=3)
    assert found.verdict.startswith("trust")
    assert found.log_evidence == pytest.approx(np.log(inner), abs=0.05)


@pytest.mark.slow
def test_what_it_does_not_reach_is_not_trusted():
    found = posterior(mixture((0.5, at(0.0, 1.0)), (0.5, at(2.5, 1.0))), 20, method="nested", seed=0)
    assert found.diagnosis.trust is Trust.DO_NOT


def test_too_little_time_is_said():
    found = posterior(at(0.0, 1.0), 3, method=NestedSampling(max_time=1e-9), seed=0)
    assert found.diagnosis.trust is Trust.DO_NOT
    assert "levels" in found.verdict


def test_too_few_points_are_refused():
    with pytest.raises(UsageError, match="particles"):
        posterior(at(0.0, 1.0), 2, method=NestedSampling(particles=10))
