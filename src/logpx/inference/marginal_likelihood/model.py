"""What the estimators need from a latent-variable model."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["LatentVariableModel", "log_joint", "without_nan"]


class LatentVariableModel(Protocol):
    """A model with a latent variable z: three distributions of torch, or like them."""

    @property
    def prior(self) -> Any:
        """p(z), without a batch shape."""

    def likelihood(self, z: Tensor) -> Any:
        """Return p(x given z) for z of any leading shape."""

    def posterior(self, x: Tensor) -> Any:
        """Return p(z given x), or q(z given x), for x of any leading shape."""


def log_joint(model: LatentVariableModel, x: Tensor, z: Tensor) -> Tensor:
    """Return log p(x, z) for rows ``(n, D)`` and draws ``(K, n, ...)``, shape ``(K, n)``."""
    prior, likelihood = model.prior, model.likelihood(z)
    value: Tensor = prior.log_prob(z) + likelihood.log_prob(x)
    return value


def without_nan(values: Tensor) -> Tensor:
    """Return log-weights with minus infinity instead of NaN, which comes from infinity minus infinity."""
    return torch.where(values.isnan(), -torch.inf, values)
