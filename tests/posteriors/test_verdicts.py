"""Verdicts that are never confidently wrong."""

import math

import pytest
import torch
from torch.distributions import Normal

from logpx.errors import DivergedError
from logpx.posteriors import (
    FlowFit,
    FullRank,
    LowRank,
    MeanField,
    PosteriorMethod,
    ReverseKL,
    Trust,
    densities,
    posterior,
)

QUICK = ReverseKL(draws=128, rates=(1e-2,), window=60, max_steps=600)


def funnel(x: torch.Tensor) -> torch.Tensor:
    v = x[:, 0]
    return Normal(0.0, 3.0).log_prob(v) + Normal(0.0, (0.5 * v).exp()[:, None]).log_prob(x[:, 1:]).sum(-1)


def two_modes(x: torch.Tensor) -> torch.Tensor:
    each = [Normal(m, 0.3).log_prob(x).sum(-1) for m in (-6.0, 6.0)]
    return torch.logaddexp(*each) - math.log(2.0)


class TestVerdicts:
    @pytest.mark.parametrize(
        "method",
        [
            FullRank(QUICK),
            *(pytest.param(one(QUICK), marks=pytest.mark.slow) for one in (MeanField, LowRank)),
        ],
        ids=["full_rank", "mean_field", "low_rank"],
    )
    def test_a_normal_distribution_of_the_funnel_is_not_trusted(self, method: PosteriorMethod):
        assert posterior(funnel, 10, method).diagnosis.trust is Trust.DO_NOT

    def test_the_funnel_has_no_mode_to_expand_around(self):
        with pytest.raises(DivergedError, match="no mode"):
            posterior(funnel, 10, "laplace")

    def test_a_missed_mode_is_not_trusted(self):
        found = posterior(two_modes, 2, MeanField(QUICK), seed=1)
        assert found.diagnosis.trust is Trust.DO_NOT
        assert "it misses a mode" in found.verdict
        assert found.k_hat == math.inf

    @pytest.mark.slow
    def test_a_flow_bends_into_a_banana(self):
        def banana(x):
            return Normal(0.0, 1.0).log_prob(x[:, 0]) + Normal(x[:, 0].square(), 0.5).log_prob(x[:, 1])

        method = FlowFit(ReverseKL(draws=256, rates=(5e-3,), window=60, max_steps=700, annealing=50))
        found = posterior(banana, 2, method)
        assert found.k_hat < 0.7
        assert found.log_evidence == pytest.approx(0.0, abs=0.03)
        chain, rate = found.metropolis(20_000, seed=1)
        assert rate > 0.5
        assert float(chain[:, 1].mean()) == pytest.approx(1.0, abs=0.1)
        normal_only = posterior(banana, 2, FullRank(QUICK))
        assert found.elbo > normal_only.elbo + 0.2

    def test_auto_climbs_no_further_than_it_has_to(self, normal):
        assert posterior(normal.log_prob, 4).method == "laplace"

    def test_resampled_draws_are_right_where_plain_ones_are_not(self):
        target = torch.distributions.StudentT(7.0)
        found = posterior(lambda x: target.log_prob(x[:, 0]), 1, FullRank(QUICK), draws=50_000)
        assert found.diagnosis.trust is not Trust.DO_NOT
        weighted = found.summary(resampled=True)["x[0]"].standard_deviation
        assert weighted == pytest.approx(math.sqrt(7.0 / 5.0), rel=0.04)
        drawn = found.sample(50_000, resampled=True)
        assert drawn.std().item() == pytest.approx(weighted, rel=0.05)


@pytest.mark.parametrize("method", ["full_rank", "flow"])
def test_an_improper_density_is_never_trusted(method: str):
    ways = {"full_rank": FullRank(QUICK), "flow": FlowFit(QUICK)}
    try:
        found = posterior(lambda x: 0.0 * x.sum(-1), 2, ways[method])
    except DivergedError:
        return
    assert found.diagnosis.trust is Trust.DO_NOT


def test_a_few_draws_without_a_number_are_told_of():
    found = posterior(lambda x: torch.where(x < 3.0, -0.5 * x.square(), torch.nan).sum(1), 1, "laplace")
    assert "log_density is nan at" in found.verdict
    exact = 0.5 * math.log(2.0 * math.pi) + math.log(Normal(0.0, 1.0).cdf(torch.tensor(3.0)))
    assert found.log_evidence == pytest.approx(exact, abs=1e-3)


def test_heavy_tails_are_met_with_heavy_tails():
    found = posterior(lambda x: -torch.log1p(x.square()).sum(1), 1, "laplace")
    assert found.log_evidence == pytest.approx(
        math.log(math.pi), abs=5.0 * found.diagnosis.log_evidence_error
    )
    # A Cauchy distribution has neither mean nor deviation.
    assert "tails without a variance" in found.verdict


def test_several_modes_are_held_by_a_mixture():
    problem = densities.separated_modes(dim=2, distance=8.0, share=0.3)
    found = posterior(**problem.arguments)
    assert found.method == "laplace"
    assert found.diagnosis.trust is Trust.TRUST
    assert found.log_evidence == pytest.approx(0.0, abs=1e-3)
    right = (found.sample(20_000)[:, 0] > 0.0).double().mean().item()
    assert min(right, 1.0 - right) == pytest.approx(0.3, abs=0.02)
