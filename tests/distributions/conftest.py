"""One dictionary of distributions, with what scipy says of their density."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions import (
    DiagonalNormal,
    Distribution,
    FullNormal,
    Mixture,
    Product,
    StandardNormal,
    StudentT,
    Uniform,
)
from logpx.latent import GaussianMixture


@dataclass(frozen=True)
class Case:
    """A distribution, and scipy's log-density of it as a function of the distribution and of rows."""

    build: Callable[[], Distribution]
    log_density: Callable[[Distribution, np.ndarray], np.ndarray]
    # How much lies outside [-30, 30]².
    mass_outside: float = 0.0

    def make(self, dtype: torch.dtype = torch.float64) -> Distribution:
        """Build it with parameters drawn near those it starts with."""
        torch.manual_seed(1)
        distribution = self.build()
        with torch.no_grad():
            for parameter in distribution.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        return distribution.to(dtype)


def _numpy(tensor):
    return tensor.detach().double().numpy()


def _mixture(d, x):
    each = np.stack(
        [
            stats.norm.logpdf(x).sum(-1),
            stats.uniform.logpdf(x, -1.0, 2.0).sum(-1),
        ],
        -1,
    )
    return np.logaddexp.reduce(each + _numpy(torch.log_softmax(d.logits, 0)), -1)


def _gaussian_mixture(d, x):
    each = [
        stats.multivariate_normal.logpdf(x, _numpy(mean), _numpy(covariance))
        for mean, covariance in zip(d.means, d.covariances, strict=True)
    ]
    return np.logaddexp.reduce(np.stack(each, -1) + np.log(_numpy(d.weights)), -1)


CASES = {
    "standard normal": Case(lambda: StandardNormal(2), lambda d, x: stats.norm.logpdf(x).sum(-1)),
    "diagonal normal": Case(
        lambda: DiagonalNormal(2),
        lambda d, x: stats.norm.logpdf(x, _numpy(d.mean), np.exp(_numpy(d.log_scale))).sum(-1),
    ),
    "full normal": Case(
        lambda: FullNormal(2),
        lambda d, x: stats.multivariate_normal.logpdf(x, _numpy(d.mean), _numpy(d.covariance)),
    ),
    "uniform": Case(lambda: Uniform(2, -1.5, 2.0), lambda d, x: stats.uniform.logpdf(x, -1.5, 3.5).sum(-1)),
    "Student t": Case(
        lambda: StudentT(2, degrees=4.0),
        lambda d, x: stats.t.logpdf(
            x, np.exp(_numpy(d.log_degrees)), _numpy(d.location), np.exp(_numpy(d.log_scale))
        ).sum(-1),
        mass_outside=1e-3,
    ),
    "mixture": Case(lambda: Mixture([StandardNormal(2), Uniform(2, -1.0, 1.0)], [1.0, 3.0]), _mixture),
    "product": Case(
        lambda: Product([Uniform(1, -1.0, 2.0), DiagonalNormal(1)]),
        lambda d, x: (
            stats.uniform.logpdf(x[..., 0], -1.0, 3.0)
            + stats.norm.logpdf(
                x[..., 1], _numpy(d.parts[1].mean)[0], np.exp(_numpy(d.parts[1].log_scale))[0]
            )
        ),
    ),
    "Gaussian mixture": Case(lambda: GaussianMixture(3, 2), _gaussian_mixture),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Run a test on every distribution."""
    return CASES[request.param]
