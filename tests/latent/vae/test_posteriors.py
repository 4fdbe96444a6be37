"""Every family of q(z given x): its own draws have its density, which integrates to 1."""

import pytest
import torch

from logpx.latent.vae import DiagonalPosterior, FlowPosterior, FullPosterior
from logpx.transforms import Affine, Autoregressive, Inverse

LATENT = 2


@pytest.mark.parametrize(
    "posterior",
    [
        DiagonalPosterior(LATENT),
        FullPosterior(LATENT),
        FlowPosterior(Inverse(Autoregressive(LATENT, hidden=(8,), context=3))),
        FlowPosterior(Affine(LATENT)),
    ],
    ids=["diagonal", "full", "inverse autoregressive", "affine"],
)
def test_log_q_of_own_draws_is_log_q_computed_anew(posterior):
    generator = torch.Generator().manual_seed(0)
    posterior = posterior.double()
    with torch.no_grad():
        for parameter in posterior.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    raw = torch.randn(7, posterior.outputs, dtype=torch.float64, generator=generator, requires_grad=True)
    q = posterior(raw)
    z = q.rsample((4,))
    own = q.log_prob(z)
    torch.testing.assert_close(own, posterior(raw).log_prob(z.clone()), rtol=1e-9, atol=1e-9)
    frozen = posterior.frozen(raw).log_prob(z.detach().requires_grad_())
    torch.testing.assert_close(frozen, own, rtol=1e-9, atol=1e-9)
    # q integrates to 1: importance weights against a wide normal distribution have the mean 1.
    wide = torch.distributions.Normal(0.0, 4.0)
    points = 4.0 * torch.randn(200_000, 1, LATENT, dtype=torch.float64, generator=generator)
    weights = (posterior(raw[:1]).log_prob(points) - wide.log_prob(points).sum(-1)).exp()
    assert weights.mean().item() == pytest.approx(1.0, abs=5 * weights.std().item() / 447.0)
