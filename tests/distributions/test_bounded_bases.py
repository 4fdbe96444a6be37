"""Exponential and truncated normal distributions against scipy."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from logpx.distributions import Exponential, Flow, TruncatedNormal
from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Softplus

CASES = {
    "exponential": (lambda: Exponential(2), stats.expon),
    "around 0": (lambda: TruncatedNormal(2, -0.5, 3.0), stats.truncnorm(-0.5, 3.0)),
    "above 0": (lambda: TruncatedNormal(2, 2.0, 4.0), stats.truncnorm(2.0, 4.0)),
    "far below 0": (lambda: TruncatedNormal(2, -12.0, -9.0), stats.truncnorm(-12.0, -9.0)),
    "half": (lambda: TruncatedNormal(2, 0.0, 40.0), stats.truncnorm(0.0, 40.0)),
}


@pytest.fixture(params=CASES)
def case(request):
    build, truth = CASES[request.param]
    return build().double(), truth


def test_densities_are_those_of_scipy(case):
    model, truth = case
    inside = truth.ppf(np.linspace(0.01, 0.99, 40)).reshape(20, 2)
    found = model.log_prob(torch.from_numpy(inside)).numpy()
    np.testing.assert_allclose(found, truth.logpdf(inside).sum(-1), rtol=1e-9, atol=1e-9)
    low, high = truth.ppf(0.0), truth.ppf(1.0)
    for end in (low - 0.1, high + 0.1 if math.isfinite(high) else low - 1.0):
        x = torch.tensor([[end, inside[0, 0]]], dtype=torch.float64)
        assert model.log_prob(x).item() == -math.inf


def test_the_mass_is_1(case):
    model, truth = case
    one = type(model)(1) if isinstance(model, Exponential) else TruncatedNormal(1, model.lower, model.upper)
    density = lambda x: one.double().log_prob(torch.tensor([[x]], dtype=torch.float64)).exp().item()  # noqa: E731
    ends = [*truth.ppf([0.0, 0.5, 1.0 - 1e-12])]
    mass = sum(integrate.quad(density, *two)[0] for two in pairwise(ends))
    assert mass == pytest.approx(1.0, abs=1e-7)


def test_draws_follow_the_distribution_function(case):
    model, truth = case
    x = model.sample(5000, seed=0)
    assert torch.equal(x[:7], model.sample(7, seed=0))
    for column in x.T.numpy():
        assert stats.kstest(column, truth.cdf).pvalue > 1e-3
    assert model.distribution().support.check(x).all()
    assert model.float().sample(3).dtype == torch.float32


def test_they_are_bases_of_flows():
    flow = Flow(Exponential(2), Chain([Affine(2), Softplus(2)]))
    x = flow.sample(100, seed=0)
    assert flow.log_prob(x).isfinite().all()
    assert flow.distribution().support.check(torch.tensor([[-5.0, 3.0]])).all()


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (40.0, 41.0), (-50.0, -40.0)])
def test_intervals_without_mass_are_refused(ends):
    with pytest.raises(UsageError, match="a normal distribution on"):
        TruncatedNormal(1, *ends)


@pytest.mark.parametrize("ends", [(math.nan, 1.0), (0.0, math.nan)])
def test_ends_are_finite(ends):
    with pytest.raises(UsageError, match="er is nan, where a finite number was expected"):
        TruncatedNormal(1, *ends)
