"""What densities answer of some columns given others, and distributions of one column for every row."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = [
    "AnswersConditions",
    "CategoryMarginals",
    "DrawnMarginals",
    "MappedMarginals",
    "Marginals",
    "MixedMarginals",
    "NormalMixtureMarginals",
]

# How exactly quantiles are found, of the interval that they are looked for in.
_TOLERANCE, _MOST_STEPS = 1e-11, 100
# The trapezoidal rule in standard deviations: nearly exact for smooth functions, and steady for rough ones.
_FARTHEST, _NODES = 8.0, 33
# Numbers in an array of nodes.
_MOST_NUMBERS = 4_000_000


class Marginals(ABC):
    """The distribution of one column, a different one for every row.

    Attributes
    ----------
    probabilities : Tensor or None
        The probability of each code of a column of labels, shape ``(n, L)``; None for numbers.
    """

    probabilities: Tensor | None = None

    @abstractmethod
    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of values up to some, both of shape ``(n, m)``."""

    @abstractmethod
    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the quantiles at levels of shape ``(q,)``: shape ``(n, q)``."""

    @abstractmethod
    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the values, which acts element by element: shape ``(n,)``."""

    def bracket(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return values that the quantiles at levels lie between, cheaper than the quantiles themselves."""
        quantiles = self.quantiles(levels)
        return quantiles, quantiles


@runtime_checkable
class AnswersConditions(Protocol):
    """A density of rows that answers p(any columns given any others); a missing cell is NaN.

    `Distribution.conditional_log_prob` is a default for densities that integrate missing cells out exactly.
    """

    allows_missing: bool

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p(x[:, target] given the other cells that are there); see `Distribution`."""

    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells, with best guesses or jointly drawn: ``(n, d)`` or ``(draws, n, d)``."""

    def conditional_marginals(self, x: Tensor, column: int) -> Marginals:
        """Return the distribution of a column given the other cells that are there, one for every row."""


class NormalMixtureMarginals(Marginals):
    r"""Mixtures of normal distributions, :math:`F_n(x) = \sum_k w_{nk} \Phi((x - \mu_{nk}) / \sigma_{nk})`.

    Parameters
    ----------
    shares, means, deviations
        Weights, means and standard deviations of the components of every row, each of shape ``(n, K)``.

    Examples
    --------
    >>> one, none = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    >>> normal = NormalMixtureMarginals(one, none, 2.0 * one)
    >>> normal.quantiles(torch.tensor([0.5, 0.975])).round(decimals=3)
    tensor([[0.0000, 3.9200]], dtype=torch.float64)
    """

    def __init__(self, shares: Tensor, means: Tensor, deviations: Tensor) -> None:
        self.shares, self.means, self.deviations = shares.double(), means.double(), deviations.double()

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of values up to some, both of shape ``(n, m)``."""
        z = (x.double().unsqueeze(-1) - self.means.unsqueeze(1)) / self.deviations.unsqueeze(1)
        found: Tensor = (torch.special.ndtr(z) * self.shares.unsqueeze(1)).sum(-1)
        return found

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the quantiles at levels of shape ``(q,)``: shape ``(n, q)``."""
        return inverted(self.cdf, levels.to(self.means), *self.bracket(levels))

    def bracket(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the largest quantiles of the components."""
        z = torch.special.ndtri(levels.to(self.means))
        each = self.means.unsqueeze(1) + self.deviations.unsqueeze(1) * z[:, None]
        counts = (self.shares > 0.0).unsqueeze(1)
        low = each.masked_fill(~counts, math.inf).amin(-1)
        return low, each.masked_fill(~counts, -math.inf).amax(-1)

    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function up to eight deviations from each component's mean: shape ``(n,)``."""
        nodes = torch.linspace(-_FARTHEST, _FARTHEST, _NODES).to(self.means)
        weights = torch.softmax(-0.5 * nodes.square(), 0)
        at_once = max(1, _MOST_NUMBERS // (_NODES * self.means.shape[1]))
        found = []
        for start in range(0, len(self.means), at_once):
            part = slice(start, start + at_once)
            values = self.means[part].unsqueeze(-1) + self.deviations[part].unsqueeze(-1) * nodes
            each = function(values.flatten()).view(values.shape) @ weights
            found.append((each * self.shares[part]).sum(1))
        return torch.cat(found) if found else self.means.new_zeros(0)


class CategoryMarginals(Marginals):
    """Probabilities of the codes of a column of labels.

    Parameters
    ----------
    probabilities
        Shape ``(n, L)``.

    Examples
    --------
    >>> CategoryMarginals(torch.tensor([[0.2, 0.5, 0.3]])).quantiles(torch.tensor([0.5]))
    tensor([[1.]], dtype=torch.float64)
    """

    probabilities: Tensor

    def __init__(self, probabilities: Tensor) -> None:
        self.probabilities = probabilities.double()

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of codes up to some, both of shape ``(n, m)``."""
        codes = torch.arange(self.probabilities.shape[1], device=x.device)
        return (self.probabilities.unsqueeze(1) * (codes <= x.unsqueeze(-1))).sum(-1)

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the codes at which levels of shape ``(q,)`` are reached: shape ``(n, q)``."""
        edges = self.probabilities.cumsum(1)[:, :-1]
        return (levels.to(edges)[:, None] > edges.unsqueeze(1)).sum(-1).double()

    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the code: shape ``(n,)``."""
        codes = torch.arange(self.probabilities.shape[1]).to(self.probabilities)
        return self.probabilities @ function(codes)


class DrawnMarginals(Marginals):
    """Draws from distributions that have no closed form.

    Parameters
    ----------
    draws
        Independent draws for every row, shape ``(n, S)``.

    Examples
    --------
    >>> DrawnMarginals(torch.tensor([[1.0, 3.0, 2.0]])).quantiles(torch.tensor([0.5]))
    tensor([[2.]], dtype=torch.float64)
    """

    def __init__(self, draws: Tensor) -> None:
        self.draws = draws.double().sort(1).values

    def cdf(self, x: Tensor) -> Tensor:
        """Return the shares of draws up to some values, both of shape ``(n, m)``."""
        return (self.draws.unsqueeze(1) <= x.unsqueeze(-1)).double().mean(-1)

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the draws at which levels of shape ``(q,)`` are reached: shape ``(n, q)``."""
        count = self.draws.shape[1]
        places = (levels.to(self.draws) * count).ceil().long().clamp(1, count) - 1
        return self.draws[:, places]

    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the means of a function over the draws: shape ``(n,)``."""
        return function(self.draws.flatten()).view(self.draws.shape).mean(1)


class MixedMarginals(Marginals):
    """Mixtures of several distributions of the same column.

    Parameters
    ----------
    parts
        The distributions.
    weights
        Their weights in every row, shape ``(n, parts)``.

    Examples
    --------
    >>> parts = [DrawnMarginals(torch.tensor([[0.0]])), DrawnMarginals(torch.tensor([[4.0]]))]
    >>> MixedMarginals(parts, torch.tensor([[0.5, 0.5]])).cdf(torch.tensor([[1.0]]))
    tensor([[0.5000]], dtype=torch.float64)
    """

    def __init__(self, parts: Sequence[Marginals], weights: Tensor) -> None:
        self.parts, self.weights = list(parts), weights.double()

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of values up to some, both of shape ``(n, m)``."""
        pairs = zip(self.weights.T, self.parts, strict=True)
        return torch.stack([weight[:, None] * part.cdf(x) for weight, part in pairs]).sum(0)

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the quantiles at levels of shape ``(q,)``: shape ``(n, q)``."""
        return inverted(self.cdf, levels.to(self.weights), *self.bracket(levels))

    def bracket(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the largest of what the parts that count say."""
        ends = [part.bracket(levels) for part in self.parts]
        counts = (self.weights > 0.0).T.unsqueeze(-1)
        low = torch.stack([low for low, _ in ends]).masked_fill(~counts, math.inf).amin(0)
        return low, torch.stack([high for _, high in ends]).masked_fill(~counts, -math.inf).amax(0)

    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the values: shape ``(n,)``."""
        return (torch.stack([part.expectation(function) for part in self.parts], 1) * self.weights).sum(1)


class MappedMarginals(Marginals):
    """Distributions of an increasing function of another variable.

    Parameters
    ----------
    inner
        The distributions of the variable.
    forward, inverse
        From the values to the variable, and back; both act element by element.
    """

    def __init__(
        self, inner: Marginals, forward: Callable[[Tensor], Tensor], inverse: Callable[[Tensor], Tensor]
    ) -> None:
        self.inner, self.forward, self.inverse = inner, forward, inverse

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of values up to some, both of shape ``(n, m)``."""
        return self.inner.cdf(self.forward(x))

    def quantiles(self, levels: Tensor) -> Tensor:
        """Map the quantiles of the variable, which are those of its function: shape ``(n, q)``."""
        return self.inverse(self.inner.quantiles(levels))

    def bracket(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Map the ends for the variable."""
        low, high = self.inner.bracket(levels)
        return self.inverse(low), self.inverse(high)

    def expectation(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the values: shape ``(n,)``."""
        return self.inner.expectation(lambda y: function(self.inverse(y)))


def mixed(parts: Sequence[Marginals], weights: Tensor) -> Marginals:
    """Return a mixture of distributions of the same column, with weights of shape ``(n, parts)``."""
    if len(parts) == 1:
        return parts[0]
    categories = [part.probabilities for part in parts if part.probabilities is not None]
    if len(categories) == len(parts):
        return CategoryMarginals((torch.stack(categories, 1) * weights.unsqueeze(-1)).sum(1))
    return MixedMarginals(parts, weights)


def inverted(cdf: Callable[[Tensor], Tensor], levels: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return where distribution functions reach levels, between two values: all of shape ``(n, q)``.

    Parameters
    ----------
    cdf
        From values to probabilities, both of shape ``(n, q)``.
    levels
        Shape ``(q,)``, between 0 and 1.
    low, high
        Values below and above the quantiles.

    References
    ----------
    Chandrupatla 1997, A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
    function.
    """
    # b and a enclose the quantile, a is the latest guess, and c the one before b.
    a, b = high, low
    fa, fb = cdf(a) - levels, cdf(b) - levels
    c, fc = a, fa
    share = torch.full_like(a, 0.5)
    tolerance = _TOLERANCE * (high - low) + 4.0 * torch.finfo(a.dtype).eps * torch.maximum(
        low.abs(), high.abs()
    )
    for _ in range(_MOST_STEPS):
        new = a + share * (b - a)
        f = cdf(new) - levels
        same = torch.sign(f) == torch.sign(fa)
        c, fc = torch.where(same, a, b), torch.where(same, fa, fb)
        b, fb = torch.where(same, b, a), torch.where(same, fb, fa)
        a, fa = new, f
        width = (b - a).abs()
        if bool(((width <= tolerance) | (fa == 0.0)).all()):
            break
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        trusted = (phi.square() < xi) & ((1.0 - phi).square() < 1.0 - xi)
        curved = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        # A step of at least the tolerance brings the other end in.
        least = (0.5 * tolerance / width).clamp(max=0.5)
        share = torch.where(trusted & curved.isfinite(), curved, 0.5)
        share = torch.minimum(torch.maximum(share, least), 1.0 - least)
        share = share.nan_to_num(nan=0.5)
    return torch.where(fa.abs() <= fb.abs(), a, b)
