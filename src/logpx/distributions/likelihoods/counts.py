"""Likelihoods of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions, nn

from logpx.distributions.likelihoods.base import Likelihood

__all__ = ["NegativeBinomialLikelihood", "PoissonLikelihood"]

_MOST_LOG_RATE = 40.0


class _Counts(Likelihood):
    def possible(self, x: Tensor) -> Tensor:
        """Return which cells are counts (0, 1, 2, ...), or missing."""
        return ((x >= 0.0) & (x == x.floor()) & x.isfinite()) | x.isnan()

    @property
    def expected(self) -> str:
        """The possible values, in words."""
        return "a whole number from 0"


class PoissonLikelihood(_Counts):
    """Counts with variance equal to their mean, from the logarithm of the rate.

    Examples
    --------
    >>> PoissonLikelihood(1)(torch.zeros(1, 1)).log_prob(torch.tensor([[2.0]]))
    tensor([-1.6931])
    """

    numbers = 1

    def base(self, *parameters: Tensor) -> distributions.Poisson:
        """Return Poisson distributions."""
        log_rate = parameters[0].clamp(-_MOST_LOG_RATE, _MOST_LOG_RATE)
        return distributions.Poisson(log_rate.exp(), validate_args=False)


class NegativeBinomialLikelihood(_Counts):
    r"""Counts more dispersed than Poisson's: variance :math:`\mu + \mu^2 / r`, with r trained for each value.

    Parameters
    ----------
    event_shape
        The shape of x.

    Examples
    --------
    >>> likelihood = NegativeBinomialLikelihood(1)
    >>> likelihood(torch.ones(1, 1)).mean
    tensor([[2.7183]], grad_fn=<MulBackward0>)
    """

    numbers = 1

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__(event_shape)
        self.log_size = nn.Parameter(torch.zeros(self.event_shape))

    def base(self, *parameters: Tensor) -> Any:
        """Return negative binomial distributions, given the mean, with the trained size."""
        log_size = self.log_size.clamp(-_MOST_LOG_RATE / 4, _MOST_LOG_RATE / 2)
        log_mean = parameters[0].clamp(-_MOST_LOG_RATE, _MOST_LOG_RATE)
        return distributions.NegativeBinomial(log_size.exp(), logits=log_mean - log_size, validate_args=False)
