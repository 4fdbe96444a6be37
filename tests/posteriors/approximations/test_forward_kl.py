"""Polishing by draws: moments in closed form, better proposals, and never worse on draws held out."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.posteriors import Approximation, FlowFit, Posterior, Real, ReverseKL, Trust, densities, posterior
from logpx.posteriors.approximations.families import (
    LowRankNormal,
    SphericalT,
    flow_of,
    full_rank,
    mean_field,
    normal,
    units_of,
)
from logpx.posteriors.approximations.forward_kl import minimise_forward_kl
from logpx.posteriors.target.target import Target


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def two_modes(n: int, distance: float = 5.0, seed: int = 0) -> torch.Tensor:
    draws = randn(n, 2, seed=seed)
    draws[:, 0] += 0.5 * distance * torch.where(torch.arange(n) % 2 == 0, -1.0, 1.0)
    return draws


def at_origin(inside) -> Flow:
    return Flow(inside.double(), units_of(torch.zeros(2), torch.eye(2)))


class TestMoments:
    @pytest.mark.parametrize("q", [at_origin(StandardNormal(2)), full_rank(2)], ids=["fixed", "trained"])
    def test_normal_distributions_get_mean_and_covariance(self, q):
        factor = torch.tensor([[2.0, 0.0], [0.7, 0.5]]).double()
        u = torch.tensor([3.0, -1.0]).double() + randn(40_000, 2) @ factor.mT
        found = minimise_forward_kl(q, u)
        truth = MultivariateNormal(torch.tensor([3.0, -1.0]).double(), scale_tril=factor)
        torch.testing.assert_close(found.distribution.log_prob(u), truth.log_prob(u), rtol=0, atol=0.2)
        torch.testing.assert_close(found.distribution.transform.factor, factor, rtol=0, atol=0.03)
        start = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
        gain = float((truth.log_prob(u) - start.log_prob(u)).mean())
        assert found.gain == pytest.approx(gain, rel=0.02)
        assert found.steps == 0

    def test_independent_dimensions_keep_deviations_of_their_own(self):
        u = randn(20_000, 2) @ torch.tensor([[1.0, 2.0], [0.0, 1.0]]).double()
        found = minimise_forward_kl(mean_field(2), u).distribution
        torch.testing.assert_close(found.sample(50_000).std(0), u.std(0), rtol=0.03, atol=0.0)

    def test_tails_stay_those_of_student(self):
        inside, factor = SphericalT(2, 5.0).double(), torch.tensor([[2.0, 0.0], [0.7, 0.5]])
        truth = Flow(inside, units_of(torch.tensor([3.0, -1.0]), factor))
        u = truth.sample(20_000, seed=4)
        found = minimise_forward_kl(at_origin(inside), u).distribution
        assert isinstance(found.base, SphericalT)
        torch.testing.assert_close(found.transform.factor, factor.double(), rtol=0, atol=0.04)
        torch.testing.assert_close(found.transform.shift, truth.transform.shift, rtol=0, atol=0.05)
        # The likeliest is likelier than the truth, by about half the number of parameters.
        assert 0.0 < float((found.log_prob(u) - truth.log_prob(u)).sum()) < 10.0
        gaussian = minimise_forward_kl(at_origin(inside), randn(20_000, 2)).distribution
        assert isinstance(gaussian.base, StandardNormal)


class TestGradients:
    def test_a_low_rank_is_fitted(self):
        u = randn(4000, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.5]]).double()
        q = at_origin(LowRankNormal(2, 1))
        found = minimise_forward_kl(q, u, max_steps=500)
        best = minimise_forward_kl(full_rank(2), u)
        assert found.gain == pytest.approx(best.gain, abs=0.02)
        assert 0 < found.steps <= 500

    def test_what_has_been_trained_is_where_it_starts(self):
        # A flow of logpx takes the scale of its first rows, which would undo what reverse KL has found.
        flow = flow_of(2)
        before = {name: value.clone() for name, value in flow.state_dict().items()}
        q = at_origin(flow)
        minimise_forward_kl(q, 3.0 + randn(1000, 2), max_steps=0)
        for name, value in flow.state_dict().items():
            assert torch.equal(value, before[name])

    def test_the_best_is_kept_as_it_is(self):
        u = randn(500, 2)
        q = at_origin(StandardNormal(2).double())
        for seed in range(5):
            found = minimise_forward_kl(q, u, seed)
            train, held_out = found.gain, found.distribution
            assert train >= 0.0
            assert held_out is q if train == 0.0 else held_out is not q
        exact = at_origin(flow_of(2).double())
        assert minimise_forward_kl(exact, u, max_steps=50).gain >= 0.0

    def test_copies_of_a_draw_are_held_out_together(self):
        different = randn(40, 2)
        u = different.repeat(25, 1)
        flow = at_origin(flow_of(2, 4, (64, 64)).double())
        # Draws that are learnt by heart are no likelier among those held out.
        assert minimise_forward_kl(flow, u, max_steps=150).gain < 0.5


class TestPosterior:
    def test_a_missed_mode_comes_back(self):
        target = Target(densities.separated_modes(2, 5.0, share=0.5).log_density, 2)
        mode = normal(torch.tensor([-2.5, 0.0]), torch.eye(2))
        start = Posterior("laplace", Approximation(mode), target, seed=1)
        draws = two_modes(4000)
        better = start.polished(draws)
        assert better.method == "laplace, polished"
        assert better.polished(two_modes(4000, seed=1)).method == "laplace, polished"
        test = two_modes(20_000, seed=2)
        assert better.divergences(test).forward < 0.3 * start.divergences(test).forward
        assert start.divergences(test).misses
        assert not better.divergences(test).misses
        # The evidence of a mode alone was half of it.
        assert better.log_evidence == pytest.approx(0.0, abs=0.05)
        assert better.diagnosis.trust is Trust.AFTER_RESAMPLING

    @pytest.mark.slow
    def test_reverse_then_a_chain_then_forward_accepts_more(self):
        problem = densities.banana(1.0, 0.4)
        quick = ReverseKL(draws=128, rates=(5e-3,), window=50, max_steps=150)
        start = posterior(problem.log_density, 2, FlowFit(quick, lambda size: flow_of(size, 4)))
        chain, accepted = start.metropolis(4000, seed=1)
        better = start.polished(chain, max_steps=400)
        assert better.method == "flow, polished"
        assert better.steps > start.steps
        assert better.metropolis(4000, seed=2)[1] > accepted
        x = randn(5000, 2, seed=7)
        exact = torch.stack([x[:, 0], x[:, 0].square() + 0.4 * x[:, 1]], 1)
        assert better.divergences(exact).forward < start.divergences(exact).forward

    def test_draws_by_name(self):
        found = posterior(
            lambda theta: -0.5 * ((theta["m"] - 1.0) / 2.0).square().sum(-1),
            parameters={"m": Real(2)},
            method="mean_field",
        )
        better = found.polished({"m": 1.0 + 2.0 * randn(1000, 2)})
        assert better.sample(5)["m"].shape == (5, 2)
        assert better.log_evidence == pytest.approx(math.log(8.0 * math.pi), abs=0.02)

    def test_nothing_to_gain_gives_the_posterior_itself(self):
        found = posterior(lambda x: -0.5 * x.square().sum(-1), 2, "laplace")
        draws = randn(30, 2, seed=3)
        assert any(found.polished(draws, seed=seed) is found for seed in range(5))


BAD = [
    (torch.zeros(500, 3), "shape"),
    (torch.full((500, 2), torch.nan), "draw 1 is not finite"),
    (randn(29, 2), "29 different draws"),
    (torch.ones(500, 2), "1 different draws"),
    (torch.cat([randn(500, 1), torch.ones(500, 1)], 1), "dimension 1"),
    (randn(500, 1).expand(-1, 2), "combination"),
]


@pytest.mark.parametrize(("draws", "message"), BAD)
def test_bad_draws_are_named(draws, message: str):
    found = posterior(lambda x: -0.5 * x.square().sum(-1), 2, "laplace", draws=100)
    with pytest.raises(UsageError, match=message):
        found.polished(draws)
