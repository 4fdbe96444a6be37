"""Every prior is a density, and is trained with the rest."""

import pytest
import torch

from logpx.distributions import Flow, Mixture, StandardNormal
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.latent.vae import VAE, LearnedPrior, VampPrior
from logpx.transforms import Affine

FEATURES, LATENT = 5, 2


@pytest.mark.parametrize(
    "prior",
    [
        LearnedPrior(Mixture([StandardNormal(LATENT), StandardNormal(LATENT)])),
        LearnedPrior(Flow(StandardNormal(LATENT), Affine(LATENT))),
        VampPrior(FEATURES, components=7),
    ],
    ids=["mixture", "flow", "VampPrior"],
)
def test_priors_are_densities_and_get_gradients(prior):
    vae = VAE(NormalLikelihood(FEATURES), LATENT, hidden=(16,), prior=prior)
    x = torch.randn(200, FEATURES, generator=torch.Generator().manual_seed(1))
    vae.initialise(x)
    p = vae.prior
    points = 4.0 * torch.randn(100_000, LATENT, generator=torch.Generator().manual_seed(0))
    weights = (p.log_prob(points) - torch.distributions.Normal(0.0, 4.0).log_prob(points).sum(-1)).exp()
    assert weights.mean().item() == pytest.approx(1.0, abs=0.05)
    (-vae.train().log_prob(x).mean()).backward()
    assert all(parameter.grad is not None for parameter in prior.parameters())
    assert vae.eval().sample(10, seed=0).shape == (10, FEATURES)
