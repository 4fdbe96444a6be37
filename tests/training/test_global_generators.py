"""Nothing touches the global generators, and threads draw what they would draw alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import logpx
from logpx import flows, latent
from logpx.distributions import Flow, StandardNormal
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.distributions.seeding import seeded
from logpx.estimators import FactorAnalysis, FlowDensity, GaussianMixture, VariationalAutoencoder
from logpx.transforms import Coupling

ROWS = np.random.default_rng(0).normal(size=(60, 3)) @ np.array(
    [[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.3]]
)
X = torch.tensor(ROWS, dtype=torch.float32)


class NoisyNet(nn.Module):
    """A net of one's own that draws random numbers in training."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.3), nn.Linear(8, 4))

    def forward(self, x, context=None):
        values = self.net(x)
        return values + 0.01 * torch.randn_like(values) if self.training else values


def noisy_flow():
    with seeded(0):
        net = NoisyNet()
    return Flow(StandardNormal(3), Coupling(3, net=net))


def trained(build):
    def score():
        with seeded(0):
            model = build()
        logpx.fit(model, X, seed=0, max_steps=6, batch_size=20, progress=False)
        with torch.no_grad():
            return float(model.log_prob(X).mean())

    return score


def evidence():
    with seeded(0):
        model = latent.VAE(NormalLikelihood(3), 1, hidden=(4,))
    method = logpx.inference.AnnealedImportanceSampling(temperatures=4)
    found = logpx.evidence(model, X[:3], method, samples=4, seed=0)
    return float(found.value.sum() + model.sample(3, seed=0).sum() + model.impute(X[:2], seed=0).sum())


WAYS = {
    "VAE estimator": lambda: (
        VariationalAutoencoder(1, hidden=(8,), max_epochs=3, random_state=0).fit(ROWS).score(ROWS)
    ),
    "flow estimator": lambda: (
        FlowDensity("maf", layers=1, max_epochs=3, random_state=0).fit(ROWS).score(ROWS)
    ),
    "mixture": lambda: GaussianMixture(2, random_state=0).fit(ROWS).score(ROWS),
    "factor analysis": lambda: FactorAnalysis(1).fit(ROWS).score(ROWS),
    "VAE": trained(lambda: latent.VAE(NormalLikelihood(3), 1, hidden=(4,))),
    "flow": trained(lambda: flows.RealNVP(3, layers=2, hidden=(8,))),
    "flow with a noisy net": trained(noisy_flow),
    "VAE with dropout": trained(
        lambda: latent.VAE(
            NormalLikelihood(3), 1, encoder=nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 2))
        )
    ),
    "evidence and draws": evidence,
    "posterior": lambda: float(
        logpx.posterior(lambda x: -(x**4).sum(), 2, "laplace", seed=0).sample(3, seed=0).sum()
    ),
}


def numpys_state():
    """Return a copy of the state of NumPy's global generator."""
    return np.random.get_state()[1].copy()  # noqa: NPY002


# The estimator holds it already.
SELDOM = {"VAE"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SELDOM else []) for name in WAYS]
)
def test_global_generators_stay_and_threads_agree(name):
    way = WAYS[name]
    torch.manual_seed(5)
    before, before_numpy = torch.get_rng_state(), numpys_state()
    alone = way()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: way(), range(6)))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(numpys_state(), before_numpy)
    assert together == [alone] * 6
