"""Posteriors held against closed forms."""

import math
import sys

import pytest
import torch
from torch.distributions import Beta, Exponential, Gamma, LogNormal, Normal

import logpx
from logpx.distributions import StandardNormal
from logpx.errors import UsageError
from logpx.inference.pareto import k_hat
from logpx.posteriors import (
    Approximation,
    FullRank,
    Interval,
    MeanField,
    Ordered,
    Positive,
    Posterior,
    Real,
    ReverseKL,
    Simplex,
    Trust,
    densities,
    find_mode,
    posterior,
)
from logpx.posteriors.target.target import Target

QUICK = ReverseKL(draws=128, rates=(1e-2,), window=60, max_steps=600)


LOG_Z = 3.7


class TestNormalTargets:
    @pytest.mark.parametrize("method", ["laplace", "full_rank", "auto"])
    def test_evidence_and_bound_are_exact(self, normal, method: str):
        found = posterior(lambda x: normal.log_prob(x) + LOG_Z, 4, method)
        tolerance = 1e-8 if method != "full_rank" else 1e-3
        assert found.log_evidence == pytest.approx(LOG_Z, abs=tolerance)
        assert found.elbo == pytest.approx(LOG_Z, abs=tolerance)
        assert found.diagnosis.trust is Trust.TRUST
        draws = found.sample(20_000, seed=3)
        torch.testing.assert_close(draws.mean(0), normal.mean, rtol=0, atol=0.1)
        torch.testing.assert_close(draws.T.cov(), normal.covariance_matrix, rtol=0.05, atol=0.1)
        x = normal.sample((5,))
        torch.testing.assert_close(found.log_prob(x), normal.log_prob(x), rtol=0, atol=10 * tolerance)

    def test_mean_field_is_the_best_independent_one_and_is_not_trusted(self, normal):
        found = posterior(lambda x: normal.log_prob(x), 4, "mean_field")
        deviations = normal.precision_matrix.diagonal().rsqrt()
        torch.testing.assert_close(found.sample(20_000).std(0), deviations, rtol=0.05, atol=0.0)
        divergence = 0.5 * (
            normal.precision_matrix.diagonal().log().sum() + normal.scale_tril.diagonal().log().sum() * 2
        )
        assert found.elbo == pytest.approx(-float(divergence), abs=0.02)
        assert found.diagnosis.trust is not Trust.TRUST

    @pytest.mark.slow
    def test_low_rank_holds_what_is_of_low_rank(self):
        loading = torch.linspace(0.5, 2.0, 8).double()[:, None]
        target = torch.distributions.LowRankMultivariateNormal(
            torch.zeros(8).double(), loading, torch.ones(8).double()
        )
        found = posterior(target.log_prob, 8, "low_rank")
        assert found.elbo == pytest.approx(0.0, abs=0.01)
        assert found.diagnosis.trust is Trust.TRUST

    def test_a_narrow_guide_has_the_k_hat_of_theory(self):
        # q = N(0, s²) of N(0, 1): the weights' tail has k = 1 − s².
        generator = torch.Generator().manual_seed(0)
        for s in (0.5, 0.7, 0.9):
            x = s * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
            weights = Normal(0.0, 1.0).log_prob(x) - Normal(0.0, s).log_prob(x)
            assert float(k_hat(weights)[0]) == pytest.approx(1.0 - s * s, abs=0.1)


class TestClosedForms:
    def test_beta_and_bernoulli(self):
        heads, tails = 7, 3

        def log_density(theta):
            p = theta["p"]
            return Beta(2.0, 2.0).log_prob(p) + heads * p.log() + tails * (1.0 - p).log()

        def log_beta(a, b):
            return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

        truth = log_beta(2 + heads, 2 + tails) - log_beta(2, 2)
        found = posterior(log_density, parameters={"p": Interval(0.0, 1.0)})
        assert found.log_evidence == pytest.approx(truth, abs=4 * found.diagnosis.log_evidence_error + 1e-3)
        row = found.summary()["p"]
        exact = Beta(2.0 + heads, 2.0 + tails)
        assert row.mean == pytest.approx(float(exact.mean), abs=5 * row.mcse)
        assert row.standard_deviation == pytest.approx(float(exact.stddev), rel=0.03)
        low, middle, high = (float(scipy_quantile(9, 5, q)) for q in (0.05, 0.5, 0.95))
        assert row.quantiles == pytest.approx((low, middle, high), abs=0.01)
        p = torch.tensor([0.3, 0.6]).double()
        torch.testing.assert_close(found.log_prob({"p": p}), exact.log_prob(p), rtol=0, atol=0.3)

    def test_linear_regression_of_unknown_noise(self):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(50, 2, generator=generator, dtype=torch.float64)
        y = x @ torch.tensor([1.0, -2.0]).double() + 0.5 * torch.randn(50, generator=generator).double()

        def log_density(theta):
            # Normal-inverse-gamma: the evidence is known.
            variance, beta = theta["variance"], theta["beta"]
            prior = torch.distributions.InverseGamma(3.0, 1.0).log_prob(variance)
            prior = prior + Normal(0.0, (2.0 * variance).sqrt()[:, None]).log_prob(beta).sum(-1)
            return prior + Normal(beta @ x.mT, variance.sqrt()[:, None]).log_prob(y).sum(-1)

        precision = x.mT @ x + torch.eye(2).double() / 2.0
        mean = torch.linalg.solve(precision, x.mT @ y)
        b = 1.0 + 0.5 * float(y @ y - mean @ precision @ mean)
        truth = (
            -25.0 * math.log(2.0 * math.pi)
            + 0.5 * float(torch.logdet(torch.eye(2).double() / 2.0) - torch.logdet(precision))
            + 3.0 * math.log(1.0)
            - 28.0 * math.log(b)
            + math.lgamma(28.0)
            - math.lgamma(3.0)
        )
        found = posterior(log_density, parameters={"variance": Positive(), "beta": Real(2)})
        assert found.diagnosis.trust is not Trust.DO_NOT
        assert found.log_evidence == pytest.approx(truth, abs=4 * found.diagnosis.log_evidence_error + 1e-3)
        summary = found.summary()
        for index in range(2):
            assert summary[f"beta[{index}]"].mean == pytest.approx(float(mean[index]), abs=0.01)
        assert summary["variance"].mean == pytest.approx(b / 27.0, rel=0.02)
        exact = {
            "variance": 1.0 / Gamma(28.0, b).sample((4000,)).double(),
        }
        noise = torch.linalg.cholesky(torch.linalg.inv(precision)) @ torch.randn(2, 4000).double()
        exact["beta"] = mean + (noise * exact["variance"].sqrt()).mT
        upper, error = found.upper_bound(exact)
        assert found.elbo <= truth + 3 * found.diagnosis.elbo_error + 1e-3
        assert upper >= truth - 4 * error

    def test_a_simplex_and_ordered_means(self):
        def log_density(theta):
            weights = torch.distributions.Dirichlet(torch.tensor([2.0, 3.0, 4.0]).double())
            order = Normal(0.0, 1.0).log_prob(theta["means"]).sum(-1) + math.log(2.0)
            return weights.log_prob(theta["weights"]) + order

        parameters = {"weights": Simplex(3), "means": Ordered(2)}
        found = posterior(log_density, method=FullRank(QUICK), parameters=parameters, draws=40_000)
        assert found.log_evidence == pytest.approx(0.0, abs=0.05)
        summary = found.summary()
        assert summary["weights[2]"].mean == pytest.approx(4.0 / 9.0, abs=0.02)
        # The larger of two standard normal numbers.
        assert summary["means[1]"].mean == pytest.approx(1.0 / math.sqrt(math.pi), abs=0.03)


def scipy_quantile(a: float, b: float, q: float) -> float:
    from scipy.stats import beta

    return beta.ppf(q, a, b)


class TestModes:
    @pytest.mark.parametrize(
        ("distribution", "plain", "with_jacobian"),
        [(Exponential(2.0), 0.0, 0.5), (LogNormal(0.5, 0.7), math.exp(0.5 - 0.49), math.exp(0.5))],
        ids=["exponential", "log-normal"],
    )
    def test_modes_in_both_conventions(self, distribution, plain: float, with_jacobian: float):
        def log_density(theta):
            return distribution.log_prob(theta["x"])

        parameters = {"x": Positive()}
        own = find_mode(log_density, parameters=parameters, jacobian=False)
        other = find_mode(log_density, parameters=parameters, jacobian=True)
        assert float(own.point["x"]) == pytest.approx(plain, abs=1e-3)
        assert float(other.point["x"]) == pytest.approx(with_jacobian, abs=1e-6)
        assert own.log_density == pytest.approx(
            float(distribution.log_prob(torch.tensor(max(plain, 1e-9)))), abs=1e-3
        )

    def test_a_badly_conditioned_mode_is_found(self):
        scales = torch.logspace(-4, 4, 6).double()
        mode = find_mode(lambda x: -0.5 * ((x - 3.0 * scales) / scales).square().sum(-1), 6)
        assert mode.converged
        torch.testing.assert_close(mode.point, 3.0 * scales, rtol=1e-6, atol=1e-9)


class TestFunctions:
    def test_a_function_of_one_point_is_vectorised(self, normal):
        precision = normal.precision_matrix

        def one(x):
            off = x - normal.mean
            return -0.5 * (off @ precision @ off)

        many = posterior(normal.log_prob, 4, "laplace").log_evidence
        single = posterior(one, 4, "laplace").log_evidence
        constant = 2.0 * math.log(2.0 * math.pi) + float(normal.scale_tril.diagonal().log().sum())
        assert single == pytest.approx(many + constant, abs=1e-8)

    def test_named_parameters_of_one_point(self):
        def one(theta):
            return Normal(0.0, 2.0).log_prob(theta["m"]).sum() + Exponential(1.0).log_prob(theta["s"])

        found = posterior(one, parameters={"m": Real(2), "s": Positive()})
        assert found.log_evidence == pytest.approx(0.0, abs=0.02)
        draws = found.sample(7, seed=2)
        assert draws["m"].shape == (7, 2)
        assert draws["s"].shape == (7,)

    def test_seeds_repeat_everything(self, normal):
        first, second = (posterior(normal.log_prob, 4, FullRank(QUICK), seed=5) for _ in range(2))
        assert first.log_evidence == second.log_evidence
        assert torch.equal(first.sample(5, seed=1), second.sample(5, seed=1))

    def test_it_is_in_front_of_the_package(self):
        assert logpx.posterior is posterior

    def test_the_summary_is_a_table(self, normal):
        lines = str(posterior(normal.log_prob, 4, "laplace").summary()).splitlines()
        assert len(lines) == 6
        assert lines[1].startswith("x[0]")
        assert lines[-1].startswith("trust")

    def test_arviz_gets_named_draws(self):
        pytest.importorskip("arviz", reason="ArviZ is not installed")
        problem = densities.eight_schools()
        found = posterior(**problem.arguments, method=FullRank(QUICK))
        data = found.to_arviz(n=50)
        assert data.posterior["raw"].shape == (1, 50, 8)
        assert data.posterior["spread"].shape == (1, 50)

    def test_without_arviz_the_install_command_is_named(self, normal, monkeypatch):
        monkeypatch.setitem(sys.modules, "arviz", None)
        with pytest.raises(UsageError, match=r"logpx\[arviz\]"):
            posterior(normal.log_prob, 4, "laplace").to_arviz()


def test_the_method_map_is_the_mode_in_own_units():
    mode = posterior(
        lambda theta: -2.0 * theta["rate"] + theta["rate"].log(),
        method="map",
        parameters={"rate": Positive()},
    )
    assert float(mode.point["rate"]) == pytest.approx(0.5, abs=1e-6)
    assert not mode.jacobian


@pytest.mark.slow
def test_restarts_keep_the_highest_bound():
    problem = densities.separated_modes(dim=2, distance=8.0, share=0.2)
    bounds = []
    for restarts in (1, 4):
        options = ReverseKL(draws=64, rates=(1e-2,), window=40, max_steps=200, restarts=restarts)
        bounds.append(posterior(**problem.arguments, method=MeanField(options)).elbo)
    assert bounds[1] >= bounds[0] - 0.01
    # The heavier of two modes far apart has 0.8 of the mass.
    assert bounds[1] == pytest.approx(math.log(0.8), abs=0.1)
    with pytest.raises(UsageError, match="restarts"):
        posterior(**problem.arguments, method=FullRank(ReverseKL(restarts=0)))


def test_nothing_is_drawn_before_it_is_asked_for_and_then_once():
    calls = []

    class Counted(StandardNormal):
        def sample_with_log_prob(self, n, context=None, seed=None):
            calls.append(n)
            return super().sample_with_log_prob(n, context, seed)

    target = Target(lambda x: -0.5 * x.square().sum(-1), 2)
    found = Posterior("by hand", Approximation(Counted(2).double()), target, seed=1, draws=1000)
    found.sample(10)
    assert calls == []
    assert found.diagnosis.trust is Trust.TRUST
    assert found.log_evidence == pytest.approx(math.log(2.0 * math.pi), abs=1e-9)
    found.summary()
    assert calls == [1000]
