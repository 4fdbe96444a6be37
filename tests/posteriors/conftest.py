"""A normal distribution that several tests take for their posterior."""

import pytest
import torch
from torch.distributions import MultivariateNormal


@pytest.fixture(scope="session")
def normal() -> MultivariateNormal:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(4, 4, generator=generator, dtype=torch.float64).tril()
    factor.diagonal().abs_().add_(0.3)
    return MultivariateNormal(torch.arange(4.0).double(), scale_tril=factor)
