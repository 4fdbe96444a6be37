"""Likelihoods of values that are one of several levels: with an order, or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions

from logpx.arguments import check_count
from logpx.distributions.likelihoods.base import Likelihood
from logpx.distributions.likelihoods.logistic import DiscretisedLogistic

__all__ = ["CategoricalLikelihood", "DiscretisedLogisticLikelihood"]

_MOST_LOG_SCALE = 7.0


class _Levels(Likelihood):
    def __init__(self, event_shape: int | Sequence[int], levels: int) -> None:
        super().__init__(event_shape)
        check_count("levels", levels, least=2)
        self.levels = levels

    def possible(self, x: Tensor) -> Tensor:
        """Return which cells are levels, or missing."""
        return ((x >= 0.0) & (x <= self.levels - 1) & (x == x.floor())) | x.isnan()

    @property
    def expected(self) -> str:
        """What values there can be, in words."""
        return f"a whole number from 0 to {self.levels - 1}"


class CategoricalLikelihood(_Levels):
    """Codes without an order: a probability for each.

    Parameters
    ----------
    event_shape
        The shape of x.
    levels
        How many codes there are.

    Examples
    --------
    >>> CategoricalLikelihood(2, levels=4)(torch.zeros(1, 8)).log_prob(torch.tensor([[0.0, 3.0]]))
    tensor([-2.7726])
    """

    def __init__(self, event_shape: int | Sequence[int], levels: int) -> None:
        super().__init__(event_shape, levels)
        self.numbers = levels

    def base(self, *parameters: Tensor) -> Any:
        """Return categorical distributions."""
        return _Codes(torch.stack(parameters, -1))


class _Codes:
    """Categorical distributions of codes that are floating-point numbers."""

    def __init__(self, logits: Tensor) -> None:
        self._categorical: Any = distributions.Categorical(logits=logits, validate_args=False)

    def log_prob(self, x: Tensor) -> Tensor:
        log_prob: Tensor = self._categorical.log_prob(x.long())
        return log_prob

    def sample(self, sample_shape: Any) -> Tensor:
        codes: Tensor = self._categorical.sample(sample_shape)
        return codes.to(self._categorical.logits.dtype)

    @property
    def mean(self) -> Tensor:
        logits: Tensor = self._categorical.logits
        return logits.argmax(-1).to(logits.dtype)


class DiscretisedLogisticLikelihood(_Levels):
    """Levels with an order, such as pixels: a mixture of logistic distributions rounded to them.

    Parameters
    ----------
    event_shape
        The shape of x.
    levels
        How many levels there are: 0, ..., levels - 1.
    components
        How many logistic distributions are mixed for each value.

    References
    ----------
    Salimans et al. 2017, PixelCNN++; Kingma et al. 2016, Improved variational inference with inverse
    autoregressive flow.

    Examples
    --------
    >>> likelihood = DiscretisedLogisticLikelihood((1, 2, 2), levels=256, components=2)
    >>> likelihood.outputs, likelihood(torch.zeros(3, 24)).log_prob(torch.zeros(3, 1, 2, 2)).shape
    (24, torch.Size([3]))
    """

    def __init__(self, event_shape: int | Sequence[int], levels: int = 256, components: int = 1) -> None:
        super().__init__(event_shape, levels)
        check_count("components", components)
        self.components = components
        self.numbers = 2 if components == 1 else 3 * components

    def base(self, *parameters: Tensor) -> Any:
        """Return rounded logistic distributions, or mixtures of them."""
        count = self.components
        location = torch.stack(parameters[:count], -1)
        log_scale = torch.stack(parameters[count : 2 * count], -1).clamp(-_MOST_LOG_SCALE, _MOST_LOG_SCALE)
        if count == 1:
            return DiscretisedLogistic(location[..., 0], log_scale[..., 0], self.levels)
        weights = distributions.Categorical(
            logits=torch.stack(parameters[2 * count :], -1), validate_args=False
        )
        parts = DiscretisedLogistic(location, log_scale, self.levels)
        return distributions.MixtureSameFamily(weights, parts, validate_args=False)
