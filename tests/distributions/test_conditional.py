"""Some columns given others, and distributions of one column for every row."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from logpx.distributions import Mixture, StandardNormal
from logpx.distributions.conditional import (
    CategoryMarginals,
    DrawnMarginals,
    MappedMarginals,
    MixedMarginals,
    NormalMixtureMarginals,
)
from logpx.errors import UsageError
from logpx.latent import GaussianMixture

LEVELS = torch.tensor([1e-6, 0.05, 0.5, 0.95, 1.0 - 1e-6], dtype=torch.float64)


@pytest.fixture
def normals() -> NormalMixtureMarginals:
    generator = torch.Generator().manual_seed(0)
    shares, means, widths = torch.rand(3, 50, 4, generator=generator, dtype=torch.float64)
    return NormalMixtureMarginals(shares / shares.sum(1, keepdim=True), 9.0 * means, widths**3 + 1e-3)


def test_quantiles_of_one_normal_are_those_of_scipy():
    means, widths = torch.tensor([[-3.0], [1e6]]), torch.tensor([[0.5], [20.0]])
    found = NormalMixtureMarginals(torch.ones(2, 1), means, widths).quantiles(LEVELS)
    expected = norm.ppf(LEVELS.numpy(), means.double().numpy(), widths.double().numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_quantiles_of_mixtures_invert_the_distribution_function(normals):
    assert (normals.cdf(normals.quantiles(LEVELS)) - LEVELS).abs().max() < 1e-7


def test_means_of_functions_are_exact_for_smooth_ones(normals):
    second = (normals.shares * (normals.means**2 + normals.deviations**2)).sum(1)
    torch.testing.assert_close(normals.expectation(lambda x: x**2), second)


def test_parts_of_a_mixture_count_by_their_weights(normals):
    alone = MixedMarginals([normals, normals], torch.tensor([[0.3, 0.7]]).expand(50, 2))
    torch.testing.assert_close(alone.quantiles(LEVELS), normals.quantiles(LEVELS), rtol=1e-6, atol=1e-7)
    steps = MixedMarginals(
        [DrawnMarginals(torch.zeros(1, 3)), DrawnMarginals(torch.ones(1, 5))], torch.tensor([[0.4, 0.6]])
    )
    assert steps.quantiles(torch.tensor([0.3, 0.5])).round().tolist() == [[0.0, 1.0]]
    assert steps.expectation(lambda x: x).item() == pytest.approx(0.6)


def test_quantiles_pass_through_an_increasing_map(normals):
    mapped = MappedMarginals(normals, torch.log, torch.exp)
    torch.testing.assert_close(mapped.quantiles(LEVELS), normals.quantiles(LEVELS).exp())
    torch.testing.assert_close(
        mapped.cdf(torch.full((50, 1), 2.0)), normals.cdf(torch.full((50, 1), 2.0).log())
    )


def test_codes_have_quantiles_too():
    codes = CategoryMarginals(torch.tensor([[0.2, 0.0, 0.8]]))
    assert codes.quantiles(torch.tensor([0.1, 0.2, 0.21])).tolist() == [[0.0, 0.0, 2.0]]


def test_a_mixture_conditions_like_its_joint_density(make_gaussians):
    mixture = Mixture(make_gaussians(2), [0.3, 0.7])
    x = torch.randn(20, 3, dtype=torch.float64)
    target = torch.tensor([True, False, True])
    given = x.masked_fill(target, torch.nan)
    expected = mixture.log_prob(x) - mixture.log_prob(given)
    torch.testing.assert_close(mixture.conditional_log_prob(x, target), expected)


@pytest.fixture
def make_gaussians():
    def make(count: int) -> list[GaussianMixture]:
        torch.manual_seed(1)
        made = []
        for _ in range(count):
            gaussian = GaussianMixture(1, 3).double().eval()
            with torch.no_grad():
                gaussian.means.normal_()
                for parameter in gaussian.covariance.parameters():
                    parameter.normal_(0.0, 0.4)
            made.append(gaussian)
        return made

    return make


def test_what_cannot_integrate_cells_out_says_so():
    with pytest.raises(UsageError, match="no exact density of some columns"):
        StandardNormal(2).conditional_log_prob(torch.zeros(1, 2), torch.tensor([True, False]))


@pytest.mark.parametrize("target", [torch.tensor([1, 0]), torch.tensor([True])])
def test_a_target_is_a_boolean_for_each_column(make_gaussians, target):
    with pytest.raises(UsageError, match="a target of shape"):
        make_gaussians(1)[0].conditional_log_prob(torch.zeros(1, 3), target)
