"""What is spent on log p of a row: noises within cells of grids, draws of z, and how they are pooled."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Distribution, LowerBound
from logpx.distributions.seeding import checked_count, derived_seed
from logpx.errors import UsageError
from logpx.tables.columns.supports import Supports

__all__ = ["Effort", "LogOfMean", "MeanOfLogs", "Pool", "Single"]

# Of a model that draws z: so many draws for each of the noises within a cell, which there are the more of.
_DRAWS_PER_NOISE = 16
# Rows that are scored at once where there are several noises for each.
_ROWS_AT_ONCE = 4096


class Pool(ABC):
    """Takes in estimates of log p of the same rows, in constant memory, and puts them together."""

    @abstractmethod
    def add(self, estimates: LowerBound) -> None:
        """Take in estimates of shape ``(k, n)``."""

    @abstractmethod
    def bound(self) -> LowerBound:
        """Return the result, shape ``(n,)``."""


class Single(Pool):
    """One estimate, which knows its own error."""

    def add(self, estimates: LowerBound) -> None:
        """Keep it."""
        self._only = LowerBound(estimates.log_prob[0], estimates.standard_error[0])

    def bound(self) -> LowerBound:
        """Return it."""
        return self._only


class MeanOfLogs(Pool):
    """The mean of the estimates, which have noises and draws of their own.

    Their spread therefore holds the error of each; of one estimate it is unknown.

    Examples
    --------
    >>> pool = MeanOfLogs()
    >>> pool.add(LowerBound(torch.tensor([[-1.0], [-3.0]]), torch.zeros(2, 1)))
    >>> pool.bound()
    LowerBound(log_prob=tensor([-2.]), standard_error=tensor([1.]))
    """

    def __init__(self) -> None:
        self._count = 0

    def add(self, estimates: LowerBound) -> None:
        """Add them up."""
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

    It is what `iwae` and `iwae_error` of `logpx.latent.log_weights` are, of estimates that come in parts.

    References
    ----------
    Hoogeboom, Cohen and Tomczak 2020, Learning discrete distributions by dequantization.

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
        """Add probabilities and their squares up."""
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


@dataclass(frozen=True)
class Effort:
    """What is spent on every row.

    Attributes
    ----------
    noises : int
        How many dequantisation noises.
    draws : int or None
        Draws of z for each of them, of a model that has z; None leaves their number to the model.
    together : bool
        Whether several noises of few rows may be scored at once.
    pool : type of Pool
        How the noises are put together.

    Examples
    --------
    >>> Effort.of(exact=False, gridded=True, draws=8, exactness=5000)
    Effort(noises=312, draws=16, together=False, pool=<class 'logpx.tables.bounds.LogOfMean'>)
    """

    noises: int
    draws: int | None
    together: bool
    pool: type[Pool]

    @classmethod
    def of(cls, exact: bool, gridded: bool, draws: int, exactness: int | None) -> Effort:
        """Return what suits a model.

        Parameters
        ----------
        exact
            Whether the density's log p is exact, given the noise.
        gridded
            Whether a column is on a grid.
        draws
            How many noises to average over, unless an exactness is given.
        exactness
            How many samples to spend on a row.

        Raises
        ------
        UsageError
            If a number is no whole one from 1 on.
        """
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="use at least one draw")
        if exactness is not None:
            check_count("exactness", exactness)
        if not gridded:
            return cls(1, None if exact else exactness, False, Single)
        if exactness is None:
            return cls(draws, None, False, MeanOfLogs)
        noises = exactness if exact else max(1, exactness // _DRAWS_PER_NOISE)
        return cls(noises, exactness // noises, exact, LogOfMean)

    def bounds(
        self, densities: Sequence[Distribution], supports: Supports, x: Tensor, seed: int, start: int
    ) -> list[LowerBound]:
        """Return log p of consecutive rows under several densities, all on the same noises.

        Parameters
        ----------
        densities
            Of dequantised rows.
        supports
            The grids.
        x
            Rows as they are in the table, shape ``(n, d)``.
        seed
            Of noises and draws, which depend on it and on the numbers of the rows alone.
        start
            The number of the first row, counted from 0.
        """
        pools = [self.pool() for _ in densities]
        at_once = max(1, _ROWS_AT_ONCE // max(len(x), 1)) if self.together else 1
        for number in range(0, self.noises, at_once):
            several = range(number, min(number + at_once, self.noises))
            noisy = torch.cat(
                [supports.dequantise(x, seed=seed, first_row=start, draw=draw) for draw in several]
            )
            for pool, density in zip(pools, densities, strict=True):
                found = density.log_prob_lower(noisy, self.draws, derived_seed(seed, number), first=start)
                pool.add(LowerBound(*(part.view(len(several), len(x)) for part in found)))
        return [pool.bound() for pool in pools]
