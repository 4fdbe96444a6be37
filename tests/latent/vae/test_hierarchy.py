"""Several stochastic layers: densities that integrate to 1, draws that agree with them, the exact maximum."""

import pytest
import torch
from torch import nn

import logpx
from logpx.distributions.likelihoods import GlobalScale, NormalLikelihood
from logpx.errors import UsageError
from logpx.latent import ProbabilisticPCA
from logpx.latent.vae import (
    VAE,
    EvidenceLowerBound,
    HierarchicalPosterior,
    HierarchicalPrior,
    StickingTheLandingBound,
    latent_report,
)
from logpx.storage import load, save


def stirred(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def test_the_prior_integrates_to_one_and_its_layers_depend_on_those_above():
    prior = stirred(HierarchicalPrior((2, 1), hidden=(8,)))
    p = prior(None, torch.zeros(1))
    points = 4.0 * torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0))
    wide = torch.distributions.Normal(0.0, 4.0).log_prob(points).sum(-1)
    weights = (p.log_prob(points) - wide).exp()
    assert weights.mean().item() == pytest.approx(1.0, abs=5 * weights.std().item() / 447.0)
    z = points[:1].clone().requires_grad_()
    below = p.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z[:, 2]).sum(-1)
    (gradient,) = torch.autograd.grad(below.sum(), z)
    assert bool((gradient != 0.0).all())


def test_draws_of_the_posterior_have_its_density():
    posterior = stirred(HierarchicalPosterior((1, 1, 1), features=6, hidden=(8,))).double()
    generator = torch.Generator().manual_seed(2)
    raw = torch.randn(1, 6, dtype=torch.float64, generator=generator)
    q = posterior(raw)
    torch.manual_seed(0)
    z = q.rsample((100_000,))
    assert z.shape == (100_000, 1, 3)
    # Points of a wide normal distribution, weighted by q, have its mass and its moments.
    points = 4.0 * torch.randn(400_000, 1, 3, dtype=torch.float64, generator=generator)
    wide = torch.distributions.Normal(0.0, 4.0).log_prob(points).sum(-1)
    weights = (q.log_prob(points) - wide).exp()
    assert weights.mean().item() == pytest.approx(1.0, abs=5 * weights.std().item() / 632.0)
    share = (weights / weights.sum()).unsqueeze(-1)
    mean = (share * points).sum(0)
    torch.testing.assert_close(mean, z.mean(0), rtol=0, atol=0.05)
    products = (share.unsqueeze(-1) * points.unsqueeze(-1) * points.unsqueeze(-2)).sum(0)
    torch.testing.assert_close(products, (z.unsqueeze(-1) * z.unsqueeze(-2)).mean(0), rtol=0, atol=0.15)


def test_the_frozen_posterior_is_the_same_without_a_gradient_to_its_numbers():
    posterior = stirred(HierarchicalPosterior((2, 1), features=6, hidden=(8,)))
    raw = torch.randn(5, 6, requires_grad=True)
    z = posterior(raw).rsample((3,)).detach().requires_grad_()
    frozen = posterior.frozen(raw).log_prob(z)
    torch.testing.assert_close(frozen, posterior(raw).log_prob(z))
    leaves = [z, raw, *posterior.parameters()]
    gradients = torch.autograd.grad(frozen.sum(), leaves, allow_unused=True)
    assert gradients[0] is not None
    assert all(gradient is None for gradient in gradients[1:])


@pytest.mark.slow
@pytest.mark.parametrize("objective", [EvidenceLowerBound(), StickingTheLandingBound()], ids=["elbo", "stl"])
def test_two_layers_reach_what_one_layer_can(objective):
    generator = torch.Generator().manual_seed(9)
    loadings = torch.randn(2, 5, generator=generator)
    z = torch.randn(2000, 2, generator=generator)
    x = z @ loadings + 0.5 * torch.randn(2000, 5, generator=generator)
    x = x / x.std(0)
    exact = ProbabilisticPCA(5, 2).double()
    logpx.fit(exact, x.double())
    truth = exact.log_prob(x.double()).mean().item()
    torch.manual_seed(0)
    vae = VAE(
        NormalLikelihood(5, GlobalScale()),
        latent=4,
        encoder=nn.Linear(5, 16),
        decoder=nn.Linear(2, 5),
        prior=HierarchicalPrior((2, 2), hidden=(16,)),
        posterior=HierarchicalPosterior((2, 2), features=16, hidden=(16,)),
        objective=objective,
    )
    logpx.fit(
        vae, x, x, max_steps=1500, batch_size=256, learning_rate=0.02, noise=0.0, seed=0, progress=False
    )
    bound = vae.log_prob_lower(x, draws=64).log_prob.mean().item()
    # The prior of z₁ may be more than normal, so that it can do a little better on its own rows.
    assert truth - 0.06 < bound < truth + 0.02
    report = latent_report(vae, x[:500])
    assert report.aggregate_divergence < 0.5
    assert report.information > 0.5


def test_it_is_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    vae = VAE(
        NormalLikelihood(3),
        latent=3,
        hidden=(8,),
        prior=HierarchicalPrior((2, 1), hidden=(4,)),
        posterior=HierarchicalPosterior((2, 1), features=6, hidden=(4,)),
    ).eval()
    save(vae, tmp_path / "model")
    x = torch.randn(7, 3)
    again = load(tmp_path / "model")
    torch.testing.assert_close(again.log_prob(x), vae.log_prob(x))
    assert again.sample(4, seed=1).shape == (4, 3)


@pytest.mark.parametrize("latents", [(3,), 3, (3, 0), ()])
def test_what_is_no_hierarchy_is_refused(latents):
    with pytest.raises(UsageError, match="latents"):
        HierarchicalPrior(latents)
    with pytest.raises(UsageError, match="latents"):
        HierarchicalPosterior(latents)


def test_layers_of_another_size_than_the_model_are_refused():
    with pytest.raises(UsageError, match="latent dimensions"):
        VAE(NormalLikelihood(3), latent=4, prior=HierarchicalPrior((2, 1)))
