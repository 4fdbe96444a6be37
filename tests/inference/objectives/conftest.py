"""Normal distributions, and their divergences as PyTorch knows them."""

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from logpx import flows
from logpx.distributions import Distribution, FullNormal


@pytest.fixture
def target() -> MultivariateNormal:
    """A correlated normal distribution of three features."""
    factor = torch.tensor([[0.8, 0.0, 0.0], [0.5, 1.3, 0.0], [-0.4, 0.2, 0.6]], dtype=torch.float64)
    return MultivariateNormal(torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64), scale_tril=factor)


@pytest.fixture
def normal() -> FullNormal:
    """A trainable normal distribution of three features, away from the target."""
    model = FullNormal(3).double()
    with torch.no_grad():
        model.mean.copy_(torch.tensor([0.1, -0.3, 0.4]))
        model.log_diagonal.copy_(torch.tensor([0.2, -0.1, 0.3]))
        model.lower.copy_(torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [-0.2, 0.5, 0.0]]))
    return model


@pytest.fixture
def flow() -> Distribution:
    """A flow whose layers are far from the identity."""
    torch.manual_seed(3)
    model = flows.RealNVP(3, layers=3, hidden=(8,)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    return model


def as_torch(model: FullNormal) -> MultivariateNormal:
    """Return the same distribution as PyTorch's, attached to the same parameters."""
    return MultivariateNormal(model.mean, scale_tril=model.cholesky)


@pytest.fixture
def exact_forward(normal: FullNormal, target: MultivariateNormal) -> Tensor:
    """KL(target, normal)."""
    return kl_divergence(target, as_torch(normal))


@pytest.fixture
def exact_reverse(normal: FullNormal, target: MultivariateNormal) -> Tensor:
    """KL(normal, target)."""
    return kl_divergence(as_torch(normal), target)


@pytest.fixture
def exact_draws(target: MultivariateNormal) -> Tensor:
    """Six points that have the target's mean and covariance: means of quadratics over them are exact."""
    steps = 3.0**0.5 * target.scale_tril.mT
    return torch.cat([target.mean + steps, target.mean - steps])
