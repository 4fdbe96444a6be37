"""Training of an autoregressive model for some columns given all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution, OrderAgnostic
from logpx.distributions.private_randomness import current_generator

__all__ = ["ConditionalTraining"]

# What the joint distribution counts beside the one that is asked for, for each column, and in what share of
# the steps it is looked at: it costs a pass for every column.
_JOINT_WEIGHT, _JOINT_SHARE = 0.1, 0.25


class ConditionalTraining(Distribution):
    """What gradient descent sees of a model that will be asked for some columns given all others.

    In evaluation mode log p is that of the target given the others, and in training mode an unbiased estimate
    of it for every row. A few rows of some batches teach all other distributions, too: with random columns
    visible, so that given cells may be missing.

    Parameters
    ----------
    model
        The model, which is trained in place.
    target
        The places of the columns that will be asked for.
    """

    allows_constants = True
    allows_missing = True
    gains_from_noise = False

    def __init__(self, model: OrderAgnostic, target: Sequence[int]) -> None:
        super().__init__(len(model.columns))
        self.model = model
        mask = torch.zeros(len(model.columns), dtype=torch.bool)
        mask[list(target)] = True
        self.register_buffer("target", mask)

    def _like(self) -> Tensor:
        return self.model._like()

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Start the model on training rows."""
        self.model.initialise(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p of the target given the other cells that are there, shape ``(n,)``."""
        assert isinstance(self.target, Tensor)
        if not self.training:
            return self.model.conditional_log_prob(x, self.target)
        found = self.model.conditional_estimate(x, self.target)
        if float(torch.rand((), generator=current_generator(x.device), device=x.device)) > _JOINT_SHARE:
            return found
        features = x.shape[1]
        few = max(1, len(x) // features)
        scale = _JOINT_WEIGHT / _JOINT_SHARE / features * len(x) / few
        joint = self.model.log_prob(x[:few]) * scale
        return torch.cat([found[:few] + joint.to(found), found[few:]])
