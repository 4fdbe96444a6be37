"""Whether log_prob is exact is passed on by what is built of parts, and so are errors."""

import pytest
import torch

from logpx.distributions import DiagonalNormal, Mixture, Product
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.latent import VAE


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return VAE(NormalLikelihood(2), latent=1, hidden=(8,)).eval()


def test_exact_parts_make_an_exact_whole():
    for whole in (Mixture([DiagonalNormal(2), DiagonalNormal(2)]), Product([DiagonalNormal(1)] * 2)):
        assert whole.kind == "exact"
        x = torch.randn(5, 2)
        bound = whole.log_prob_lower(x)
        torch.testing.assert_close(bound.log_prob, whole.log_prob(x))
        assert not bound.standard_error.any()


def test_a_mixture_with_a_bound_is_a_bound(vae: VAE):
    x = torch.randn(6, 2)
    mixture = Mixture([vae, DiagonalNormal(2)], weights=[0.5, 0.5])
    assert mixture.kind == "lower bound"
    own, whole = vae.log_prob_lower(x, 50), mixture.log_prob_lower(x, 50)
    other = mixture.components[1].log_prob(x)
    torch.testing.assert_close(whole.log_prob, torch.logaddexp(own.log_prob, other) - torch.tensor(2.0).log())
    share = torch.sigmoid(own.log_prob - other)
    torch.testing.assert_close(whole.standard_error, share * own.standard_error)


def test_a_product_with_a_bound_is_a_bound(vae: VAE):
    x = torch.randn(6, 4)
    product = Product([vae, DiagonalNormal(2)])
    assert product.kind == "lower bound"
    own, whole = vae.log_prob_lower(x[:, :2], 50), product.log_prob_lower(x, 50)
    torch.testing.assert_close(whole.log_prob, own.log_prob + product.parts[1].log_prob(x[:, 2:]))
    torch.testing.assert_close(whole.standard_error, own.standard_error)
