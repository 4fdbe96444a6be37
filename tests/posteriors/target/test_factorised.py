"""Log-densities summed over rows, against closed forms of conjugate models and against unbatched sums."""

import math

import pytest
import torch
from torch.distributions import Gamma, Normal

from logpx.distributions import Flow
from logpx.errors import UsageError
from logpx.posteriors import (
    FactorisedJoint,
    FullRank,
    MeanField,
    Positive,
    Real,
    ReverseKL,
    Trust,
    find_mode,
    posterior,
)
from logpx.posteriors.approximations.families import full_rank, units_of
from logpx.posteriors.approximations.reverse_kl import minimise_reverse_kl
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.diagnostics.verdict import diagnose
from logpx.posteriors.target.curvature import hessian
from logpx.posteriors.target.factorised import FactorisedTarget
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.target import Target

NOISE, WIDTH = 0.7, 2.0


def regression(rows: int, features: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    x[:, 1] += 0.8 * x[:, 0]
    y = x @ torch.linspace(-1.0, 1.0, features).double()
    return x, y + NOISE * torch.randn(rows, generator=generator, dtype=torch.float64)


def log_prior(beta):
    return Normal(0.0, WIDTH).log_prob(beta).sum(-1)


def log_likelihood(beta, rows):
    x, y = rows
    return Normal(beta @ x.mT, NOISE).log_prob(y)


def closed_form(x, y) -> tuple[torch.Tensor, torch.Tensor, float]:
    precision = x.mT @ x / NOISE**2 + torch.eye(x.shape[1]).double() / WIDTH**2
    covariance = torch.linalg.inv(precision)
    mean = covariance @ (x.mT @ y) / NOISE**2
    evidence = float(Normal(torch.zeros_like(y), NOISE).log_prob(y).sum() + 0.5 * mean @ precision @ mean)
    return mean, covariance, evidence - 0.5 * float(torch.logdet(precision)) - x.shape[1] * math.log(WIDTH)


def named_prior(theta):
    return Normal(0.0, 3.0).log_prob(theta["m"]).sum(-1) + Gamma(2.0, 1.0).log_prob(theta["s"])


def named_likelihood(theta, rows):
    return Normal((theta["m"] @ rows["x"].mT), theta["s"][:, None]).log_prob(rows["y"])


PARAMETERS = {"m": Real(3), "s": Positive()}


def named(at_once: int = 2**17, rows: int = 101, batch_size: int = 10) -> FactorisedTarget:
    x, y = regression(rows)
    joint = FactorisedJoint(named_prior, named_likelihood, {"x": x, "y": y}, batch_size, at_once=at_once)
    return FactorisedTarget(joint, parameters=Parameters(PARAMETERS))


class TestAllRows:
    @pytest.mark.parametrize("at_once", [1, 64, 400])
    def test_parts_change_neither_value_nor_gradient_nor_curvature(self, at_once: int):
        x, y = regression(101)

        def plain(theta):
            return named_prior(theta) + named_likelihood(theta, {"x": x, "y": y}).sum(1)

        whole = Target(plain, parameters=Parameters(PARAMETERS))
        parts = named(at_once)
        u = 0.3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(1)).double()
        for one, other in zip(whole.value_and_gradient(u), parts.value_and_gradient(u), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        for jacobian in (True, False):
            torch.testing.assert_close(
                hessian(whole, u[0], jacobian), hessian(parts, u[0], jacobian), rtol=1e-10, atol=1e-10
            )

    def test_no_more_is_computed_at_once_than_is_allowed(self):
        sizes = []

        def watched(beta, rows):
            sizes.append(len(beta) * len(rows[0]))
            return log_likelihood(beta, rows)

        joint = FactorisedJoint(log_prior, watched, regression(1000), at_once=256)
        joint(torch.zeros(5, 3).double())
        assert max(sizes) <= 256
        assert sum(sizes) == 5000

    def test_it_is_a_log_density_by_itself(self):
        data = regression(50)
        joint = FactorisedJoint(log_prior, log_likelihood, data)
        mode = find_mode(joint, 3)
        torch.testing.assert_close(mode.point, closed_form(*data)[0], rtol=0, atol=1e-6)


class TestBatches:
    def test_the_gradients_of_a_partition_average_to_that_of_all_rows(self):
        target = named(rows=100)
        u = 0.3 * torch.randn(4, 4, generator=torch.Generator().manual_seed(2)).double()
        value, slope = target.value_and_gradient(u)
        values, slopes = [], []
        joint = target._function
        for rows in torch.randperm(100, generator=torch.Generator().manual_seed(3)).chunk(10):
            part = Target(joint.on(rows), parameters=Parameters(PARAMETERS), vectorised=True)
            found = part.value_and_gradient(u)
            values.append(found[0])
            slopes.append(found[1])
        # Of a prior that is counted N / B times, or not at all, the averages would be off.
        torch.testing.assert_close(torch.stack(values).mean(0), value, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(torch.stack(slopes).mean(0), slope, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("anchored", [True, False])
    def test_estimates_are_without_bias(self, anchored: bool):
        target = named(rows=200)
        u = 0.3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(4)).double()
        estimate = target.estimates_near(u.mean(0)) if anchored else target.from_batch
        with torch.random.fork_rng():
            torch.manual_seed(0)
            drawn = [torch.cat([value[:, None], slope], 1) for value, slope in map(estimate, [u] * 500)]
        value, slope = target.value_and_gradient(u)
        found = torch.stack(drawn)
        z = (found.mean(0) - torch.cat([value[:, None], slope], 1)) / (found.std(0) / math.sqrt(500))
        assert float(z.abs().max()) < 4.0

    def test_what_rows_share_with_an_expansion_makes_no_noise(self):
        target = named(rows=5000, batch_size=50)
        mode = find_mode(target._function, parameters=PARAMETERS, jacobian=True).point
        point = target.unconstrained({name: value[None] for name, value in mode.items()})
        u = point + 0.02 * torch.randn(50, 4, generator=torch.Generator().manual_seed(5)).double()

        def noise(estimate) -> float:
            return float(torch.stack([estimate(u)[0].mean() for _ in range(50)]).std())

        with torch.random.fork_rng():
            torch.manual_seed(0)
            assert noise(target.estimates_near(point[0])) < 0.02 * noise(target.from_batch)

    def test_a_batch_of_all_rows_is_exact(self):
        target = named(batch_size=500)
        assert target.estimates_near(torch.zeros(4).double()) == target.value_and_gradient

    def test_where_there_is_no_expansion_batches_are_plain(self):
        joint = FactorisedJoint(
            lambda x: -x.square().sum(-1), lambda x, rows: (x - rows).clamp_min(0.0).log(), torch.zeros(9), 2
        )
        target = FactorisedTarget(joint, 1)
        assert target.estimates_near(torch.tensor([-1.0]).double()) == target.from_batch

    def test_batches_are_of_different_rows_and_depend_on_the_seed(self):
        joint = FactorisedJoint(log_prior, log_likelihood, regression(100_000), 300)
        drawn = []
        for seed in (1, 1, 2):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                drawn.append(joint.batch())
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        assert len(drawn[0].unique()) == 300


class TestPosteriors:
    def test_linear_regression_of_many_rows(self):
        data = regression(20_000)
        mean, covariance, evidence = closed_form(*data)
        target = FactorisedTarget(FactorisedJoint(log_prior, log_likelihood, data, batch_size=256), 3)
        deviations = covariance.diagonal().sqrt()
        # From half a standard deviation away, and without correlations.
        units = units_of(mean + 0.5 * deviations, deviations.diag())
        family = full_rank(3)
        steps = minimise_reverse_kl(family, units, target, ReverseKL(draws=128))
        q = Flow(family, units)
        assert steps < 2000
        with torch.no_grad():
            draws = q.sample(50_000, seed=1)
        assert float(((draws.mean(0) - mean) / deviations).abs().max()) < 0.03
        scaled = (draws / deviations).mT.cov() - covariance / torch.outer(deviations, deviations)
        assert float(scaled.abs().max()) < 0.03
        found = diagnose(weigh(q, target, 1000, seed=0))
        assert found.log_evidence == pytest.approx(evidence, abs=0.01)
        assert found.elbo == pytest.approx(evidence, abs=0.02)

    @pytest.mark.slow
    def test_the_mean_of_many_rows(self):
        y = 1.3 + torch.randn(20_000, generator=torch.Generator().manual_seed(1)).double()
        joint = FactorisedJoint(
            lambda x: Normal(0.0, 5.0).log_prob(x[:, 0]),
            lambda x, rows: Normal(x, 1.0).log_prob(rows),
            y,
            256,
        )
        found = posterior(joint, 1, MeanField(ReverseKL(draws=64)), draws=1000)
        precision = len(y) + 1.0 / 25.0
        draws = found.sample(50_000)
        assert float(draws.mean() - y.sum() / precision) * math.sqrt(precision) == pytest.approx(
            0.0, abs=0.03
        )
        assert float(draws.std()) * math.sqrt(precision) == pytest.approx(1.0, abs=0.03)
        assert found.diagnosis.trust is Trust.TRUST

    @pytest.mark.slow
    def test_seeds_repeat_the_batches(self):
        joint = FactorisedJoint(log_prior, log_likelihood, regression(200), batch_size=20)
        method = FullRank(ReverseKL(draws=32, rates=(1e-2,), window=20, max_steps=40))
        first, second, other = (posterior(joint, 3, method, draws=500, seed=seed) for seed in (3, 3, 4))
        assert torch.equal(first.sample(5), second.sample(5))
        assert not torch.equal(first.sample(5), other.sample(5))

    @pytest.mark.slow
    def test_few_rows_with_functions_of_one_point(self):
        y = torch.randn(60, generator=torch.Generator().manual_seed(1)).double() + 1.0

        def one_prior(theta):
            return Normal(0.0, 1.0).log_prob(theta["mean"]) + Normal(0.0, 1.0).log_prob(theta["log_scale"])

        def one_likelihood(theta, rows):
            return Normal(theta["mean"], theta["log_scale"].exp()).log_prob(rows)

        parameters = {"mean": Real(), "log_scale": Real()}
        joint = FactorisedJoint(one_prior, one_likelihood, y, batch_size=6)
        found = posterior(joint, method="full_rank", parameters=parameters, draws=4000)
        # The integral over a grid.
        mean, log_scale = torch.meshgrid(
            torch.linspace(0.0, 2.0, 300).double(), torch.linspace(-1.0, 1.0, 300).double(), indexing="ij"
        )
        flat = {"mean": mean.flatten(), "log_scale": log_scale.flatten()}
        density = one_prior(flat) + Normal(flat["mean"][:, None], flat["log_scale"][:, None].exp()).log_prob(
            y
        ).sum(1)
        evidence = float(density.logsumexp(0)) + math.log(2.0 / 299.0) * 2.0
        assert found.log_evidence == pytest.approx(evidence, abs=0.02)
        weights = torch.softmax(density, 0)
        summary = found.summary()
        assert summary["mean"].mean == pytest.approx(float(weights @ flat["mean"]), abs=0.01)
        assert summary["log_scale"].mean == pytest.approx(float(weights @ flat["log_scale"]), abs=0.01)


X, Y = regression(20)

BAD = [
    ({"data": (X[:0], Y[:0])}, "no rows"),
    ({"data": ()}, "no rows"),
    ({"data": (X, Y[:7])}, "length"),
    ({"data": {"x": X, "y": Y.numpy()}}, "ndarray"),
    ({"data": Y[0]}, "a number"),
    ({"batch_size": 0}, "batch_size"),
    ({"at_once": 0}, "at_once"),
    ({"log_prior": 1.0}, "log_prior is a float"),
    ({"log_likelihood": None}, "log_likelihood is a NoneType"),
    ({"log_likelihood": lambda b, rows: log_likelihood(b, rows).sum(-1)}, r"\(10,\) for 10 points and 3"),
    ({"log_likelihood": lambda b, rows: log_likelihood(b, rows)[..., None]}, r"\(10, 3, 1\) for 10 points"),
    ({"log_likelihood": lambda b, rows: log_likelihood(b, rows).detach()}, "log_likelihood has no gradient"),
    ({"log_likelihood": lambda b, rows: 1.0}, "log_likelihood returned a float"),
    ({"log_prior": lambda b: 0.0}, "log_prior returned a float"),
    ({"log_prior": lambda b: Normal(0.0, 1.0).log_prob(b)}, r"log_prior returned shape \(16, 3\)"),
    ({"log_prior": lambda b: Gamma(1.0, 1.0).log_prob(b).sum(-1)}, "constrain"),
]


@pytest.mark.parametrize(("changed", "message"), BAD)
def test_mistakes_are_named(changed, message: str):
    arguments = {"log_prior": log_prior, "log_likelihood": log_likelihood, "data": (X, Y)} | changed
    with pytest.raises(UsageError, match=message):
        posterior(FactorisedJoint(**arguments), 3, "laplace")


def test_a_flat_prior_has_no_gradient_and_needs_none():
    joint = FactorisedJoint(lambda beta: torch.zeros(len(beta)).double(), log_likelihood, [X, Y])
    found = posterior(joint, 3, "laplace", draws=500)
    exact = torch.linalg.solve(X.mT @ X, X.mT @ Y)
    torch.testing.assert_close(found.sample(20_000).mean(0), exact, rtol=0, atol=0.02)
