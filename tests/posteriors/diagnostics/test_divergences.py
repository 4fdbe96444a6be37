"""Divergences in both directions against closed forms, and the two spaces against each other."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import MixtureSameFamily, MultivariateNormal, Normal, kl_divergence

from logpx import flows
from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.posteriors import Approximation, Positive, Posterior, densities, posterior
from logpx.posteriors.approximations.families import flow_of, full_rank, mean_field, normal, units_of
from logpx.posteriors.diagnostics.bridge_sampling import bridge_sampling
from logpx.posteriors.diagnostics.divergences import compare_with_draws
from logpx.posteriors.diagnostics.noise_space import noise_space
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.target import Target

LOG_Z = 1.7


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normals() -> tuple[MultivariateNormal, MultivariateNormal]:
    p = MultivariateNormal(
        torch.tensor([1.0, -1.0]).double(), torch.tensor([[2.0, 0.6], [0.6, 0.5]]).double()
    )
    q = MultivariateNormal(
        torch.tensor([0.6, -0.8]).double(), torch.tensor([[1.2, 0.1], [0.1, 0.7]]).double()
    )
    return p, q


def as_flow(q: MultivariateNormal) -> Flow:
    return normal(q.mean, q.scale_tril)


def compared(p, q, n: int = 40_000):
    target = Target(lambda x: p.log_prob(x) + LOG_Z, 2)
    flow = as_flow(q)
    u, log_q = flow.sample_with_log_prob(n, seed=1)
    draws = p.mean + randn(n, 2, seed=2) @ p.scale_tril.mT
    return compare_with_draws(flow, target, target.log_prob(u) - log_q, draws)


class TestNormals:
    def test_both_directions_and_the_evidence_are_those_of_the_closed_form(self):
        p, q = normals()
        found = compared(p, q)
        for value, error, truth in (
            (found.reverse, found.reverse_error, kl_divergence(q, p)),
            (found.forward, found.forward_error, kl_divergence(p, q)),
            (found.jeffreys, found.jeffreys_error, kl_divergence(p, q) + kl_divergence(q, p)),
            (found.log_evidence, found.log_evidence_error, torch.tensor(LOG_Z)),
        ):
            assert value == pytest.approx(float(truth), abs=4.0 * error)
            assert 0.0 < error < 0.02
        assert found.jeffreys == pytest.approx(found.reverse + found.forward, abs=1e-12)
        assert found.forward_in_noise == pytest.approx(found.forward, abs=1e-9)
        assert found.disagreement < 1e-9

    def test_an_exact_approximation_agrees(self):
        p, _ = normals()
        found = compared(p, p, 1000)
        assert found.jeffreys == pytest.approx(0.0, abs=1e-9)
        assert found.log_evidence == pytest.approx(LOG_Z, abs=1e-9)
        assert "agree" in str(found)

    def test_a_wide_one_is_called_so(self):
        p, _ = normals()
        found = compared(p, MultivariateNormal(p.mean, 25.0 * p.covariance_matrix))
        assert found.too_wide
        assert not found.misses
        assert "too wide" in str(found)

    def test_a_mean_that_one_draw_makes_is_no_agreement(self):
        p, _ = normals()
        target = Target(p.log_prob, 2)
        proposed = torch.zeros(1000).double()
        proposed[3] = -1e7
        found = compare_with_draws(as_flow(p), target, proposed, p.mean + randn(1000, 2) @ p.scale_tril.mT)
        assert found.too_wide

    def test_errors_allow_for_the_correlation_of_a_chain(self):
        p, q = normals()
        target = Target(lambda x: p.log_prob(x), 2)
        flow = as_flow(q)
        u, log_q = flow.sample_with_log_prob(4000, seed=1)
        proposed = target.log_prob(u) - log_q
        draws = p.mean + randn(500, 2, seed=3) @ p.scale_tril.mT
        alone = compare_with_draws(flow, target, proposed, draws)
        copies = compare_with_draws(flow, target, proposed, draws.repeat_interleave(16, 0))
        assert copies.jeffreys == pytest.approx(alone.jeffreys, abs=0.01)
        assert copies.jeffreys_error == pytest.approx(alone.jeffreys_error, rel=0.3)


class TestDuality:
    @pytest.mark.parametrize(
        "inside",
        [
            StandardNormal(3),
            full_rank(3),
            mean_field(3),
            flow_of(3),
            flows.NSF(3, layers=2, hidden=(8,)),
        ],
        ids=["standard", "full", "diagonal", "RealNVP", "NSF"],
    )
    def test_the_two_spaces_agree(self, inside):
        inside = inside.double()
        with torch.no_grad():
            for index, parameter in enumerate(inside.parameters()):
                parameter.add_(0.2 * randn(*parameter.shape, seed=index))
        q = Flow(
            inside, units_of(torch.tensor([1.0, 2.0, 3.0]), torch.eye(3) + 0.3 * torch.ones(3, 3).tril())
        )
        target = Target(lambda x: Normal(1.0, 2.0).log_prob(x).sum(-1), 3)
        u, log_q = q.sample_with_log_prob(500, seed=0)
        proposed = (target.log_prob(u) - log_q).detach()
        found = compare_with_draws(q, target, proposed, 1.0 + 2.0 * randn(500, 3))
        assert found.disagreement < 1e-6
        assert found.forward_in_noise == pytest.approx(found.forward, abs=1e-6)
        assert noise_space(q).base.event_shape == (3,)
        assert isinstance(noise_space(q).base, StandardNormal)

    def test_a_wrong_log_determinant_shows(self):
        class Wrong(Flow):
            pass

        flow = flows.RealNVP(2, layers=2, hidden=(8,)).double()
        transform = flow.transform
        honest = transform.inverse
        transform.inverse = lambda z, context=None: (honest(z)[0], honest(z)[1] + 0.1)
        q = Flow(Wrong(flow.base, transform), units_of(torch.zeros(2), torch.eye(2)))
        target = Target(lambda x: Normal(0.0, 1.0).log_prob(x).sum(-1), 2)
        found = compare_with_draws(q, target, torch.zeros(50).double(), randn(50, 2))
        assert found.disagreement == pytest.approx(0.1, abs=1e-9)


class TestBridge:
    def test_an_approximation_of_one_mode_of_two_still_gives_the_whole_evidence(self):
        weights = MixtureSameFamily(
            torch.distributions.Categorical(torch.tensor([0.3, 0.7]).double()),
            Normal(torch.tensor([-8.0, 8.0]).double(), torch.ones(2).double()),
        )
        q = Normal(-8.0, 1.1)
        proposed, drawn = q.loc + q.scale * randn(20_000), randn(20_000, seed=1)
        drawn = drawn + torch.where(torch.arange(20_000) % 10 < 3, -8.0, 8.0)
        found = bridge_sampling(*(weights.log_prob(x) + LOG_Z - q.log_prob(x) for x in (proposed, drawn)))
        assert found.log_evidence == pytest.approx(LOG_Z, abs=0.05)

    def test_sides_that_do_not_meet_give_no_number(self):
        assert math.isnan(bridge_sampling(torch.full((5,), -torch.inf), torch.zeros(5)).log_evidence)


class TestPosterior:
    def test_a_missed_mode_is_near_in_one_direction_and_far_in_the_other(self):
        target = Target(densities.separated_modes(2, 12.0, share=0.5).log_density, 2)
        mode = normal(torch.tensor([-6.0, 0.0]), torch.eye(2))
        found = Posterior("laplace", Approximation(mode), target, seed=1)
        draws = randn(10_000, 2, seed=5)
        draws[:, 0] += torch.where(torch.arange(10_000) % 2 == 0, -6.0, 6.0)
        seen = found.divergences(draws)
        assert seen.reverse == pytest.approx(math.log(2.0), abs=0.02)
        assert seen.log_evidence == pytest.approx(0.0, abs=0.03)
        assert seen.forward > 5.0 * seen.reverse
        assert seen.misses
        assert seen.beyond == pytest.approx(0.5, abs=0.02)
        assert "q misses a part of the draws: 50% of them" in str(seen)

    def test_draws_by_name(self):
        def log_density(theta):
            return Normal(0.0, 1.0).log_prob(theta["s"].log()) - theta["s"].log()

        found = posterior(log_density, parameters={"s": Positive()}, method="laplace")
        assert found.divergences(found.sample(1000, seed=9)).jeffreys == pytest.approx(0.0, abs=1e-6)


def test_infinite_weights_are_no_error():
    p, q = normals()
    target = Target(lambda x: torch.where(x[:, 0] > 0.0, p.log_prob(x), -torch.inf), 2)
    flow = as_flow(q)
    u, log_q = flow.sample_with_log_prob(1000, seed=1)
    draws = u[u[:, 0] > 0.0]
    found = compare_with_draws(flow, target, target.log_prob(u) - log_q, draws)
    assert found.reverse == math.inf
    assert math.isfinite(found.forward)
    assert found.too_wide
    assert str(replace(found, reverse=math.nan))


BAD = [
    (torch.zeros(50, 3), "shape"),
    (torch.zeros(50), "shape"),
    (torch.zeros(0, 2), "no draws"),
    (torch.zeros(5, 2), "5 draws"),
    (torch.full((50, 2), torch.nan), "draw 1 is not finite"),
    (torch.full((50, 2), 1e200, dtype=torch.float64), "log_density is -inf at draw 1"),
]


@pytest.mark.parametrize(("draws", "message"), BAD)
def test_bad_draws_are_named(draws, message: str):
    found = posterior(lambda x: -0.5 * x.square().sum(-1), 2, "laplace", draws=100)
    with pytest.raises(UsageError, match=message):
        found.divergences(draws)


def test_bad_draws_by_name_are_named():
    target = Target(lambda theta: -theta["s"], parameters=Parameters({"s": Positive(), "t": Positive()}))
    with pytest.raises(UsageError, match="dictionary"):
        target.unconstrained(torch.ones(5))
    with pytest.raises(UsageError, match="t is missing"):
        target.unconstrained({"s": torch.ones(5)})
    with pytest.raises(UsageError, match="differ in length"):
        target.unconstrained({"s": torch.ones(5), "t": torch.ones(4)})
    with pytest.raises(UsageError, match="length"):
        target.unconstrained({"s": torch.tensor(1.0), "t": torch.tensor(1.0)})
    with pytest.raises(UsageError, match="outside"):
        target.unconstrained({"s": torch.ones(5), "t": -torch.ones(5)})
