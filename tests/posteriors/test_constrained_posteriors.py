"""Posteriors of parameters under constraints, against closed forms and quadrature."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import logsumexp, multigammaln
from scipy.stats import dirichlet_multinomial, invwishart, norm
from torch import Tensor
from torch.distributions import Dirichlet, LKJCholesky, MultivariateNormal, Normal

from logpx.posteriors import (
    CorrelationCholesky,
    CovarianceMatrix,
    Ordered,
    Posterior,
    Simplex,
    Trust,
    posterior,
)

DRAWS = 50_000


def is_right(found: Posterior, log_evidence: float, mean: np.ndarray, deviation: np.ndarray, name: str):
    """Hold the verdict, the evidence and all rows of one parameter against the truth."""
    assert found.diagnosis.trust is not Trust.DO_NOT
    error = found.diagnosis.log_evidence_error
    assert found.log_evidence == pytest.approx(log_evidence, abs=4.0 * error + 1e-3)
    assert error < 0.02
    assert found.elbo < log_evidence + 3.0 * found.diagnosis.elbo_error
    summary = found.summary()
    for place in np.ndindex(mean.shape):
        row = summary[f"{name}[{', '.join(map(str, place))}]"]
        assert row.mean == pytest.approx(mean[place], abs=0.04 * deviation[place] + 1e-9)
        assert row.standard_deviation == pytest.approx(deviation[place], rel=0.05, abs=1e-9)


class TestOrdered:
    """The means of two normal distributions, mixed with known weights."""

    weights, prior = (0.4, 0.6), 3.0

    def data(self, rows: int, gap: float) -> np.ndarray:
        random = np.random.default_rng(0)
        return random.normal(np.where(random.random(rows) < self.weights[0], 0.0, gap), 1.0)

    def exact(self, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return evidence, means and deviations by a sum over the first mean and the gap."""
        step = 0.04
        first, gap = np.meshgrid(np.arange(-5.0, 5.0, step), np.arange(0.5 * step, 9.0, step), indexing="ij")
        means = np.stack([first, first + gap], -1).reshape(-1, 2)
        # There are two orders, of which one is left.
        values = math.log(2.0) + norm.logpdf(means, 0.0, self.prior).sum(1)
        for value in y:
            values += logsumexp(norm.logpdf(value, means, 1.0), axis=1, b=np.array(self.weights))
        total = logsumexp(values)
        shares = np.exp(values - total)
        mean = shares @ means
        return total + 2.0 * math.log(step), mean, np.sqrt(shares @ (means - mean) ** 2)

    def found(self, y: np.ndarray, method: str) -> Posterior:
        rows, weights = torch.from_numpy(y), torch.tensor(self.weights).double()

        def log_density(theta: dict[str, Tensor]) -> Tensor:
            means = theta["means"]
            prior = math.log(2.0) + Normal(0.0, self.prior).log_prob(means).sum(1)
            each = Normal(means[:, None], 1.0).log_prob(rows[:, None]) + weights.log()
            return prior + torch.logsumexp(each, 2).sum(1)

        return posterior(log_density, method=method, parameters={"means": Ordered(2)}, draws=DRAWS)

    @pytest.mark.parametrize(("rows", "gap"), [(60, 3.0), pytest.param(100, 2.5, marks=pytest.mark.slow)])
    def test_it_is_that_of_quadrature(self, rows: int, gap: float):
        y = self.data(rows, gap)
        is_right(self.found(y, "auto"), *self.exact(y), "means")

    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["laplace", "full_rank"])
    def test_where_they_may_be_equal_it_is_trusted_and_right(self, method: str):
        y = self.data(25, 1.0)
        log_evidence, mean, deviation = self.exact(y)
        found = self.found(y, method)
        assert found.diagnosis.trust is not Trust.DO_NOT
        assert found.log_evidence == pytest.approx(log_evidence, abs=0.05)
        for index in range(2):
            assert abs(found.summary().rows[index].mean - mean[index]) < 0.1 * deviation[index]


class TestCovariance:
    """Of normal rows with the mean 0, where the prior is an inverse Wishart distribution."""

    @staticmethod
    def log_inverse_wishart(factor: Tensor, degrees: float, scale: Tensor) -> Tensor:
        """Return it of the Cholesky factors of covariances."""
        size = len(scale)
        constant = 0.5 * degrees * float(torch.logdet(scale)) - 0.5 * degrees * size * math.log(2.0)
        log_determinant = 2.0 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        trace = torch.cholesky_solve(scale.expand_as(factor), factor).diagonal(dim1=1, dim2=2).sum(1)
        constant -= float(multigammaln(0.5 * degrees, size))
        return constant - 0.5 * (degrees + size + 1.0) * log_determinant - 0.5 * trace

    def test_the_prior_is_that_of_scipy(self):
        covariance, scale = np.array([[2.0, 0.3], [0.3, 1.0]]), np.array([[1.0, -0.2], [-0.2, 3.0]])
        factor = torch.linalg.cholesky(torch.from_numpy(covariance)[None])
        found = self.log_inverse_wishart(factor, 5.0, torch.from_numpy(scale))
        assert float(found) == pytest.approx(invwishart.logpdf(covariance, 5.0, scale), abs=1e-9)

    # The first raises far out, where rounding leaves a matrix that is not positive definite.
    @pytest.mark.parametrize(
        ("size", "rows", "cholesky"),
        [
            pytest.param(2, 25, torch.linalg.cholesky, marks=pytest.mark.slow),
            (2, 25, lambda matrix: torch.linalg.cholesky_ex(matrix)[0]),
            pytest.param(3, 40, lambda matrix: torch.linalg.cholesky_ex(matrix)[0], marks=pytest.mark.slow),
        ],
        ids=["2 raising", "2", "3"],
    )
    def test_it_is_that_of_the_conjugate_prior(
        self, size: int, rows: int, cholesky: Callable[[Tensor], Tensor]
    ):
        random = np.random.default_rng(size)
        x = random.normal(size=(rows, size)) @ np.tril(random.normal(size=(size, size)) + 2.0 * np.eye(size))
        degrees, scale = size + 3.0, np.eye(size) + 0.5
        after, total = degrees + rows, scale + x.T @ x

        def log_density(theta: dict[str, Tensor]) -> Tensor:
            factor = cholesky(theta["covariance"])
            prior = self.log_inverse_wishart(factor, degrees, torch.from_numpy(scale))
            normal = MultivariateNormal(torch.zeros(size).double(), scale_tril=factor)
            return prior + normal.log_prob(torch.from_numpy(x)[:, None]).sum(0)

        log_evidence = (
            -0.5 * rows * size * math.log(math.pi)
            + 0.5 * degrees * np.linalg.slogdet(scale)[1]
            - 0.5 * after * np.linalg.slogdet(total)[1]
            + multigammaln(0.5 * after, size)
            - multigammaln(0.5 * degrees, size)
        )
        found = posterior(log_density, parameters={"covariance": CovarianceMatrix(size)}, draws=DRAWS)
        mean = total / (after - size - 1.0)
        # Of entry (i, j), with m = degrees - size - 1:
        # ((m + 2) mean_ij² + m mean_ii mean_jj) / ((m + 1) (m - 2)).
        m = after - size - 1.0
        variance = ((m + 2.0) * mean**2 + m * np.outer(mean.diagonal(), mean.diagonal())) / (
            (m + 1.0) * (m - 2.0)
        )
        is_right(found, float(log_evidence), mean, np.sqrt(variance), "covariance")


class TestSimplex:
    @pytest.mark.parametrize("counts", [(3, 9, 1), (12, 0, 5, 30, 2)])
    def test_it_is_that_of_the_conjugate_prior(self, counts: tuple[int, ...]):
        seen = torch.tensor(counts).double()
        before = torch.linspace(1.0, 2.5, len(counts)).double()
        ways = math.lgamma(1.0 + sum(counts)) - sum(math.lgamma(1.0 + count) for count in counts)

        def log_density(theta: dict[str, Tensor]) -> Tensor:
            shares = theta["shares"]
            return Dirichlet(before).log_prob(shares) + ways + torch.special.xlogy(seen, shares).sum(1)

        log_evidence = dirichlet_multinomial(before.numpy(), sum(counts)).logpmf(counts)
        after = Dirichlet(before + seen)
        found = posterior(log_density, parameters={"shares": Simplex(len(counts))}, draws=DRAWS)
        is_right(found, float(log_evidence), after.mean.numpy(), after.stddev.numpy(), "shares")


class TestCorrelation:
    @pytest.mark.parametrize(
        ("size", "concentration"),
        [*(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, 1.5), (3, 5.0))), (3, 2.0), (4, 2.0)],
    )
    def test_a_prior_of_lewandowski_kurowicka_and_joe_integrates_to_one(
        self, size: int, concentration: float
    ):
        prior = LKJCholesky(size, concentration)

        def log_density(theta: dict[str, Tensor]) -> Tensor:
            return prior.log_prob(theta["factor"])

        found = posterior(log_density, parameters={"factor": CorrelationCholesky(size)}, draws=DRAWS)
        assert found.diagnosis.trust is not Trust.DO_NOT
        assert found.log_evidence == pytest.approx(0.0, abs=0.02)
        # Each correlation is 2 b - 1, with b of a symmetric beta distribution.
        shape = concentration - 1.0 + 0.5 * size
        factor = found.sample(DRAWS, resampled=True)["factor"]
        below = (factor @ factor.mT)[:, *torch.tril_indices(size, size, -1)]
        deviation = torch.full((below.shape[1],), 1.0 / math.sqrt(2.0 * shape + 1.0)).double()
        torch.testing.assert_close(below.std(0), deviation, rtol=0.04, atol=0.0)
        assert float(below.mean(0).abs().max()) < 0.04 * float(deviation[0])

    def test_that_of_rows_is_that_of_quadrature(self):
        random = np.random.default_rng(0)
        x = random.multivariate_normal([0.0, 0.0], [[1.0, 0.7], [0.7, 1.0]], size=12)
        prior, rows = LKJCholesky(2, 2.0), torch.from_numpy(x)

        def log_density(theta: dict[str, Tensor]) -> Tensor:
            factor = theta["factor"]
            normal = MultivariateNormal(torch.zeros(2).double(), scale_tril=factor)
            return prior.log_prob(factor) + normal.log_prob(rows[:, None]).sum(0)

        def density(r: float) -> float:
            # The prior is proportional to 1 - r².
            squares = (x**2).sum() - 2.0 * r * (x[:, 0] @ x[:, 1])
            log_likelihood = -12.0 * math.log(2.0 * math.pi) - 6.0 * math.log1p(-r * r)
            return 0.75 * (1.0 - r * r) * math.exp(log_likelihood - 0.5 * squares / (1.0 - r * r))

        total, mean, square = (quad(lambda r, k=k: r**k * density(r), -1.0, 1.0)[0] for k in range(3))
        found = posterior(log_density, parameters={"factor": CorrelationCholesky(2)}, draws=DRAWS)
        assert found.diagnosis.trust is not Trust.DO_NOT
        assert found.log_evidence == pytest.approx(math.log(total), abs=0.01)
        row = found.summary()["factor[1, 0]"]
        deviation = math.sqrt(square / total - (mean / total) ** 2)
        assert row.mean == pytest.approx(mean / total, abs=0.04 * deviation)
        assert row.standard_deviation == pytest.approx(deviation, rel=0.05)
