"""Sufficient statistics of mixtures as values that can be added and scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.representations import Shown

__all__ = ["DiscreteStatistics", "GaussianStatistics", "MixtureStatistics", "ProductStatistics"]

_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True, repr=False)
class GaussianStatistics(Shown):
    """Responsibility-weighted count, mean and centred scatter of K components, in float64.

    Parameters
    ----------
    count
        Shape ``(K, 1)``, or ``(K, D)`` if columns are counted separately because cells are missing.
    mean
        Shape ``(K, D)``.
    scatter
        Weighted sums of products of deviations from `mean`: shape ``(K, D, D)``, or ``(K, D)`` for squares
        alone; with 1 instead of K if they are pooled over the components.
    """

    count: Tensor
    mean: Tensor
    scatter: Tensor

    @property
    def diagonal(self) -> bool:
        """Whether only squares were summed."""
        return self.scatter.dim() == 2

    def __add__(self, other: GaussianStatistics) -> GaussianStatistics:
        """Merge with the statistics of other rows (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        safe = count.clamp_min(_TINY)
        step = other.mean - self.mean
        shared = self.count * other.count / safe
        between = self.products(step, shared)
        return GaussianStatistics(
            count, self.mean + step * (other.count / safe), self.scatter + other.scatter + between
        )

    def __mul__(self, factor: float) -> GaussianStatistics:
        """Scale the weights of all rows."""
        return GaussianStatistics(self.count * factor, self.mean, self.scatter * factor)

    def products(self, step: Tensor, weights: Tensor) -> Tensor:
        """Return weighted products of deviations in the form of the scatter.

        Parameters
        ----------
        step
            One deviation per component, shape ``(K, D)``.
        weights
            Shape ``(K, 1)`` or ``(K, D)``.
        """
        weighted = weights * step
        each = weighted * step if self.diagonal else weighted.unsqueeze(-1) * step.unsqueeze(-2)
        return each.sum(0, keepdim=True) if len(self.scatter) < len(step) else each


@dataclass(frozen=True, repr=False)
class DiscreteStatistics(Shown):
    """Responsibility-weighted sums of the features of rows, in float64.

    Parameters
    ----------
    sums
        Shape ``(K, F)``: the sum of each of F features, defined by the components, in each of K components.
        Missing cells add nothing.

    Examples
    --------
    >>> import torch
    >>> once = DiscreteStatistics(torch.tensor([[1.0, 3.0]]))
    >>> (once + once * 0.5).sums
    tensor([[1.5000, 4.5000]])
    """

    sums: Tensor

    def __add__(self, other: DiscreteStatistics) -> DiscreteStatistics:
        """Merge with the statistics of other rows."""
        return DiscreteStatistics(self.sums + other.sums)

    def __mul__(self, factor: float) -> DiscreteStatistics:
        """Scale the weights of all rows."""
        return DiscreteStatistics(self.sums * factor)


@dataclass(frozen=True, repr=False)
class ProductStatistics(Shown):
    """The statistics of components side by side.

    Parameters
    ----------
    parts
        The statistics of each part, in order.

    Examples
    --------
    >>> import torch
    >>> once = DiscreteStatistics(torch.tensor([[1.0, 3.0]]))
    >>> both = ProductStatistics((once, once * 2.0))
    >>> (both + both).parts[1].sums
    tensor([[ 4., 12.]])
    """

    parts: tuple[Any, ...]

    def __add__(self, other: ProductStatistics) -> ProductStatistics:
        """Merge with the statistics of other rows, part by part."""
        return ProductStatistics(
            tuple(own + others for own, others in zip(self.parts, other.parts, strict=True))
        )

    def __mul__(self, factor: float) -> ProductStatistics:
        """Scale the weights of all rows."""
        return ProductStatistics(tuple(part * factor for part in self.parts))


@dataclass(frozen=True, repr=False)
class MixtureStatistics(Shown):
    """What a mixture's E-step passes to the M-step.

    Parameters
    ----------
    count
        The rows' weights, divided by responsibility; shape ``(K,)``.
    parts
        The statistics of the components' own parameters.
    log_likelihood
        Weighted sum of log p(x) over the rows at the parameters used, in nats.
    weight
        The sum of the rows' weights.
    """

    count: Tensor
    parts: Any
    log_likelihood: Tensor
    weight: Tensor

    def __add__(self, other: MixtureStatistics) -> MixtureStatistics:
        """Merge with the statistics of other rows at the same parameters."""
        return MixtureStatistics(
            self.count + other.count,
            self.parts + other.parts,
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
        )

    def __mul__(self, factor: float) -> MixtureStatistics:
        """Scale the weights of all rows, as online EM does with earlier statistics."""
        return MixtureStatistics(
            self.count * factor, self.parts * factor, self.log_likelihood * factor, self.weight * factor
        )
