"""Nothing touches the global generators; threads and processes draw what they would draw alone."""

import multiprocessing
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.distributions import Gamma, Independent

import logpx
from logpx import flows, latent
from logpx.distributions import Flow, FromTorch, StandardNormal
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.distributions.seeding import seeded
from logpx.estimators import (
    AnomalyDetector,
    ConditionalDensity,
    FactorAnalysis,
    FlowDensity,
    GaussianMixture,
    VariationalAutoencoder,
)
from logpx.transforms import Coupling

ROWS = np.random.default_rng(0).normal(size=(60, 3)) @ np.array(
    [[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.3]]
)
X = torch.tensor(ROWS, dtype=torch.float32)
TABLE = pd.DataFrame(ROWS, columns=["a", "b", "c"])
IMAGES = np.random.default_rng(0).integers(0, 8, (40, 1, 4, 4)).astype(np.uint8)


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
    "detector": lambda: float(AnomalyDetector(members=2, random_state=0).fit(ROWS).score_samples(ROWS).sum()),
    "conditional density": lambda: float(
        np.sum(
            ConditionalDensity("gaussian", random_state=0).fit(ROWS[:, :2], ROWS[:, 2]).sample(ROWS[:3, :2])
        )
    ),
    "flow matching": trained(lambda: flows.FlowMatching(3, hidden=(4,), solver=flows.FixedStepSolver(3))),
    "base of torch's": lambda: float(
        FromTorch(Independent(Gamma(torch.full((2,), 2.0), torch.ones(2)), 1)).sample(9, seed=0).sum()
    ),
    "VAE": trained(lambda: latent.VAE(NormalLikelihood(3), 1, hidden=(4,))),
    "flow": trained(lambda: flows.RealNVP(3, layers=2, hidden=(8,))),
    "flow with a noisy net": trained(noisy_flow),
    "VAE with dropout": trained(
        lambda: latent.VAE(
            NormalLikelihood(3), 1, encoder=nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 2))
        )
    ),
    "evidence and draws": evidence,
    "table": lambda: float(logpx.tables.fit_table(TABLE, "gmm", seed=0).model.log_prob(TABLE).mean()),
    "images": lambda: float(
        logpx.images.fit_images(IMAGES, "realnvp", levels=8, max_steps=2, seed=0)
        .model.eval()
        .log_prob(torch.tensor(IMAGES))
        .mean()
    ),
    "posterior": lambda: float(
        logpx.posterior(lambda x: -(x**4).sum(), 2, "laplace", seed=0).sample(3, seed=0).sum()
    ),
}


def numpys_state():
    """Return a copy of the state of NumPy's global generator."""
    return np.random.get_state()[1].copy()  # noqa: NPY002


# The estimator holds the first already, and the others take long.
SELDOM = {"VAE", "conditional density", "flow matching", "table", "images", "posterior"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SELDOM else []) for name in WAYS]
)
def test_global_generators_stay_and_threads_agree(name):
    way = WAYS[name]
    torch.manual_seed(5)
    before, before_numpy, before_python = torch.get_rng_state(), numpys_state(), random.getstate()
    alone = way()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: way(), range(6)))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(numpys_state(), before_numpy)
    assert random.getstate() == before_python
    assert together == [alone] * 6


def _scores_elsewhere(queue):
    queue.put(VariationalAutoencoder(1, hidden=(8,), max_epochs=2, random_state=0).fit(ROWS).score(ROWS))


@pytest.mark.slow
def test_another_process_draws_what_this_one_draws():
    # The test has no name that another interpreter could import it by.
    context = multiprocessing.get_context("fork")
    here = context.SimpleQueue()
    process = context.Process(target=_scores_elsewhere, args=(here,))
    process.start()
    found = here.get()
    process.join()
    assert found == VariationalAutoencoder(1, hidden=(8,), max_epochs=2, random_state=0).fit(ROWS).score(ROWS)
