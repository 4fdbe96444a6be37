"""What the peers assert of every distribution, of its counterpart here."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from logpx.distributions import DiagonalNormal, FullNormal, Mixture, StandardNormal, Uniform
from logpx.errors import UsageError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shape", [(), (4,), (1, 2)])
def test_shapes_of_draws_and_densities(distribution, shape):
    # FlowJAX test_sample, test_log_prob; nflows test_sample, test_log_prob; normflows checkForwardLogProb.
    x = distribution.sample(shape, seed=0)
    assert x.shape == (*shape, *distribution.event_shape)
    log_prob = distribution.log_prob(x)
    assert log_prob.shape == shape
    assert log_prob.isfinite().all()


def test_draws_come_with_their_density(distribution):
    # nflows test_sample_and_log_prob; FlowJAX test_sample_and_log_prob; normflows checkForwardLogProb.
    x, log_prob = distribution.sample_with_log_prob(50, seed=1)
    torch.testing.assert_close(log_prob, distribution.log_prob(x), atol=1e-5, rtol=1e-5)
    assert torch.equal(x, distribution.sample(50, seed=1))


def test_the_density_integrates_to_one(distribution):
    # zuko test_distributions: importance sampling from a box, within a tenth.
    x = distribution.sample(2**16, seed=0)
    lower, upper = x.min(0).values, x.max(0).values
    width = upper - lower
    generator = torch.Generator().manual_seed(2)
    box = lower - width / 2 + 2 * width * torch.rand(x.shape, generator=generator)
    volume = (2 * width).prod()
    mass = distribution.log_prob(box).detach().exp().mean() * volume
    assert mass.item() == pytest.approx(1.0, abs=0.1)


def test_it_expands_as_a_distribution_of_torch(distribution):
    # zuko: expand, batch_shape, sample and log_prob of an expanded distribution.
    given = distribution.distribution().expand((32,))
    assert given.batch_shape == (32,)
    x = given.sample()
    assert x.shape == (32, *distribution.event_shape)
    assert given.log_prob(x).shape == (32,)


def test_parameters_are_where_they_were_put():
    # FlowJAX test_uniform_params, test_multivariate_normal; nflows test_mean.
    uniform = Uniform(2, 1.0, 3.0)
    assert uniform.distribution().support.check(torch.tensor([[1.0, 3.0], [0.9, 2.0]])).tolist() == [
        True,
        False,
    ]
    normal = FullNormal(2)
    with torch.no_grad():
        for parameter in normal.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    truth = MultivariateNormal(normal.mean, normal.covariance)
    x = normal.sample(7, seed=0)
    torch.testing.assert_close(normal.log_prob(x), truth.log_prob(x), atol=1e-5, rtol=1e-5)
    assert torch.equal(StandardNormal((2, 3)).distribution().mean, torch.zeros(2, 3))


@pytest.mark.parametrize("weights", [[0.25, 0.75], [1.0, 3.0]])
def test_a_mixture_is_the_weighted_sum(weights):
    # FlowJAX test_vmap_mixture.
    parts = [DiagonalNormal(1), DiagonalNormal(1)]
    with torch.no_grad():
        parts[1].mean.fill_(1.0)
    found = Mixture(parts, weights).log_prob(torch.tensor([3.0]))
    shares = np.array(weights) / np.sum(weights)
    densities = [math.exp(Normal(mean, 1.0).log_prob(torch.tensor(3.0))) for mean in (0.0, 1.0)]
    assert found.item() == pytest.approx(math.log(shares @ densities), abs=1e-5)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (1,)])
def test_rows_of_another_shape_are_refused(shape):
    # FlowJAX test_method_errors, test_dimension_mismatch.
    for distribution in (StandardNormal(3), Uniform(3), DiagonalNormal(3)):
        with pytest.raises(UsageError, match="event shape"):
            distribution.log_prob(torch.ones(shape))
