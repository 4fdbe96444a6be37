"""Estimates of a lower bound of log p(x), combined as they arrive."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from logpx.distributions import LowerBound

__all__ = ["LogOfMean", "MeanOfLogs", "Pool", "Single"]


class Pool(ABC):
    """Combines estimates of log p of the same rows, in constant memory."""

    @abstractmethod
    def add(self, estimates: LowerBound) -> None:
        """Add estimates of shape ``(k, n)``."""

    def add_log_weights(self, log_weights: Tensor) -> None:
        """Add one log-weight of every row, shape ``(n,)``, without an error of its own."""
        values = log_weights[None]
        self.add(LowerBound(values, torch.zeros_like(values)))

    @abstractmethod
    def bound(self) -> LowerBound:
        """Return the result, shape ``(n,)``."""


class Single(Pool):
    """A single estimate, which has its own error."""

    def add(self, estimates: LowerBound) -> None:
        """Keep the estimate."""
        self._only = LowerBound(estimates.log_prob[0], estimates.standard_error[0])

    def bound(self) -> LowerBound:
        """Return the estimate."""
        return self._only


class MeanOfLogs(Pool):
    """The mean of the estimates, which have noise of their own.

    Their spread therefore includes the error of each; with a single estimate it is unknown.

    Examples
    --------
    >>> pool = MeanOfLogs()
    >>> pool.add(LowerBound(torch.tensor([[-1.0], [-3.0]]), torch.zeros(2, 1)))
    >>> pool.bound()
    LowerBound(log_prob=[-2], standard_error=[1])
    """

    def __init__(self) -> None:
        self._count = 0

    def add(self, estimates: LowerBound) -> None:
        """Add to the sums of estimates and of their squares."""
        values = estimates.log_prob
        if not self._count:
            # Squares of differences from the first estimate hardly cancel.
            self._first, zero = values[0], torch.zeros_like(values[0])
            self._sum, self._off, self._squares = zero, zero, zero
        off = values - self._first
        self._count += len(values)
        self._sum = self._sum + values.sum(0)
        self._off = self._off + off.sum(0)
        self._squares = self._squares + off.square().sum(0)

    def bound(self) -> LowerBound:
        """Return the mean and its standard error."""
        count = self._count
        mean = self._sum / count
        if count == 1:
            return LowerBound(mean, torch.full_like(mean, math.nan))
        variance = (self._squares - self._off.square() / count).clamp_min(0.0) / (count - 1)
        return LowerBound(mean, (variance / count).sqrt())


class LogOfMean(Pool):
    """The logarithm of the mean of the estimated probabilities, with its error by the delta method.

    The same as `iwae` and `iwae_error` of `logpx.latent.log_weights`, for estimates that arrive in parts.

    References
    ----------
    Hoogeboom, Cohen and Tomczak 2020, Learning discrete distributions by dequantization.
    https://arxiv.org/abs/2001.11235

    Examples
    --------
    >>> pool = LogOfMean()
    >>> pool.add(LowerBound(torch.tensor([[0.0], [2.0]]), torch.zeros(2, 1)))
    >>> pool.bound().log_prob
    tensor([1.4338])
    """

    def __init__(self) -> None:
        self._count = 0

    def add(self, estimates: LowerBound) -> None:
        """Add to the sums of probabilities and of their squares."""
        values = estimates.log_prob
        if not self._count:
            self._log_sum = self._log_squares = torch.full_like(values[0], -math.inf)
        self._count += len(values)
        self._log_sum = torch.logaddexp(self._log_sum, torch.logsumexp(values, 0))
        self._log_squares = torch.logaddexp(self._log_squares, torch.logsumexp(2.0 * values, 0))

    def bound(self) -> LowerBound:
        """Return the logarithm of the mean and its standard error."""
        count, value = self._count, self._log_sum - math.log(self._count)
        if count == 1:
            return LowerBound(value, torch.full_like(value, math.nan))
        spread = count * torch.exp(self._log_squares - 2.0 * self._log_sum) - 1.0
        return LowerBound(value, (spread.clamp_min(0.0) / (count - 1)).sqrt())
