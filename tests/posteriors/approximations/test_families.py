"""Distributions that approximate a posterior, against those of scipy and torch."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, multivariate_t, t
from torch.distributions import MultivariateNormal

from logpx.distributions import Flow, Mixture
from logpx.errors import DivergedError
from logpx.posteriors import FullRank, MeanField
from logpx.posteriors.approximations.families import SphericalT, full_rank, mean_field, normal, units_of
from logpx.posteriors.diagnostics.noise_space import noise_space, with_noise

SHIFT = torch.tensor([3.0, -1.0]).double()
FACTOR = torch.tensor([[2.0, 0.0], [0.7, 0.5]]).double()


@pytest.mark.parametrize(("degrees", "scale"), [(1.0, 1.0), (5.0, 1.0), (2.0, 1.7)])
def test_a_spherical_t_is_that_of_scipy(degrees: float, scale: float):
    q = SphericalT(3, degrees, scale).double()
    x = 4.0 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    truth = multivariate_t(np.zeros(3), scale**2 * np.eye(3), degrees)
    np.testing.assert_allclose(q.log_prob(x), truth.logpdf(x.numpy()), rtol=0, atol=1e-6)
    drawn = q.sample(20_000, seed=1)
    assert kstest(drawn[:, 1] / scale, t(degrees).cdf).pvalue > 1e-3


def test_another_noise_keeps_the_map():
    t_of_it = with_noise(normal(SHIFT, FACTOR), SphericalT(2, 4.0).double())
    x = SHIFT + torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    truth = multivariate_t(SHIFT.numpy(), (FACTOR @ FACTOR.mT).numpy(), 4.0)
    np.testing.assert_allclose(t_of_it.log_prob(x), truth.logpdf(x.numpy()), rtol=0, atol=1e-6)
    mixture = Mixture([normal(SHIFT, FACTOR)] * 2)
    assert noise_space(mixture).base is mixture


@pytest.mark.parametrize(
    ("method", "family", "factor"),
    [(FullRank(), full_rank, FACTOR), (MeanField(), mean_field, torch.diag(FACTOR.diagonal()))],
    ids=["full rank", "mean field"],
)
def test_maps_of_a_normal_distribution_and_of_its_units_are_one(method, family, factor: torch.Tensor):
    q, units = family(2), units_of(SHIFT, factor)
    with torch.no_grad():
        for index, parameter in enumerate(q.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index))
            parameter.add_(0.3 * noise)
    one = method.in_units(q, units)
    x = SHIFT + torch.randn(20, 2, generator=torch.Generator().manual_seed(9)).double()
    with torch.no_grad():
        torch.testing.assert_close(one.log_prob(x), Flow(q, units).log_prob(x), rtol=1e-12, atol=1e-12)
    assert len(noise_space(one).transforms) == 1
    assert not any(parameter.requires_grad for parameter in one.parameters())


def test_a_fixed_normal_distribution_is_that_of_torch():
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    truth = MultivariateNormal(SHIFT, scale_tril=FACTOR)
    torch.testing.assert_close(normal(SHIFT, FACTOR).log_prob(x), truth.log_prob(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [torch.eye(2) * torch.nan, torch.eye(2) * torch.inf, torch.zeros(2, 2)])
def test_units_without_a_size_are_refused(factor: torch.Tensor):
    with pytest.raises(DivergedError, match="no normal distribution to start from"):
        units_of(torch.zeros(2), factor)
