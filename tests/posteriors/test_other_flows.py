"""Flows of one's own choice in place of RealNVP, on a density that integrates to 1."""

from collections.abc import Callable

import pytest
import torch

from logpx.distributions import Distribution
from logpx.flows import IAF, NSF
from logpx.posteriors import FlowFit, Posterior, ReverseKL, Trust, densities, posterior

QUICK = ReverseKL(draws=128, rates=(1e-2,), window=100, max_steps=300, annealing=50, max_time=600.0)


def fitted(build: Callable[[int], Distribution]) -> Posterior:
    return posterior(**densities.banana().arguments, method=FlowFit(QUICK, build))


def is_right(found: Posterior, resampled: bool) -> None:
    """Hold it against x₁ ~ N(0, 1), and x₂ = x₁² + N(0, 1/4)."""
    assert found.log_evidence == pytest.approx(0.0, abs=0.02)
    rows = found.summary(resampled).rows
    assert [row.mean for row in rows] == pytest.approx([0.0, 1.0], abs=0.1)
    assert [row.standard_deviation for row in rows] == pytest.approx([1.0, 1.5], rel=0.1)


def spline(size: int) -> Distribution:
    # Its affine parts reach where the splines, which end, do not.
    return NSF(size, layers=2, hidden=(16, 16), affine=True)


def inverse_autoregressive(size: int) -> Distribution:
    return IAF(size, layers=3, hidden=(32, 32))


@pytest.mark.slow
@pytest.mark.parametrize("build", [spline, inverse_autoregressive])
def test_it_bends_into_a_banana(build: Callable[[int], Distribution]):
    found = fitted(build)
    assert found.k_hat < 0.7
    assert found.diagnosis.trust is not Trust.DO_NOT
    is_right(found, resampled=True)
    # Plain draws only where the verdict says that they will do.
    if found.diagnosis.trust is Trust.TRUST:
        is_right(found, resampled=False)
    draws = found.sample(500, seed=1)
    assert draws.shape == (500, 2)
    assert bool(torch.isfinite(found.log_prob(draws)).all())


@pytest.mark.slow
def test_splines_that_end_within_the_posterior_are_not_trusted():
    found = fitted(lambda size: NSF(size, layers=2, hidden=(16, 16)))
    # A part of the mass of 1 lies beyond them.
    assert found.log_evidence < -0.1
    assert found.diagnosis.trust is Trust.DO_NOT
