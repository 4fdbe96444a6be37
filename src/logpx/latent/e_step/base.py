"""One pass of the E-step: densities under all components, then the sums that the M-step needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from logpx.latent.covariances import Covariance
from logpx.latent.statistics import GaussianStatistics

__all__ = ["NormalEStep", "NormalParameters", "SumOfParts"]

_TINY = torch.finfo(torch.float64).tiny
_WORST_CONDITION = 1e7


@dataclass(frozen=True)
class NormalParameters:
    """Parameters of K normal distributions in float64, and the units in which sums are taken.

    Parameters
    ----------
    means
        Shape ``(K, D)``.
    covariance
        The covariances.
    centre, scale
        Sums are taken of (x - centre) / scale, so that nothing cancels far from the origin; shape ``(D,)``.
    """

    means: Tensor
    covariance: Covariance
    centre: Tensor
    scale: Tensor

    @property
    def scaled_means(self) -> Tensor:
        """The means in the units of the sums."""
        return (self.means - self.centre) / self.scale

    @cached_property
    def precisions(self) -> tuple[Tensor, Tensor]:
        """The inverses of the covariances, and their log-determinants."""
        return self.covariance.precisions()

    def safe(self) -> bool:
        """Whether expanding the squares loses at most a billionth of a nat on the rows of any component."""
        precisions, _ = self.precisions
        size = self.scaled_means.abs()
        if self.covariance.diagonal:
            terms = (size.square() * precisions * self.scale.square()).sum(-1)
        else:
            scaled = precisions.abs() * self.scale * self.scale[:, None]
            terms = (size.unsqueeze(-2) @ scaled @ size.unsqueeze(-1)).flatten()
        return bool(terms.amax() * torch.finfo(torch.float64).eps < 1e-9)

    def well_conditioned(self) -> bool:
        """Whether inverting any block of the precisions keeps about nine digits, whatever the units."""
        precisions, _ = self.precisions
        matrices = self.covariance.matrices()
        units = self.scale * self.scale[:, None]
        sizes = (matrices / units).norm(dim=(1, 2)) * (precisions * units).norm(dim=(1, 2))
        return bool((sizes < _WORST_CONDITION).all())


class NormalEStep(ABC):
    """One pass over rows, chunk by chunk: `log_prob` of a chunk, then `add` with its responsibilities.

    Parameters
    ----------
    parameters
        Where the densities are taken.
    """

    def __init__(self, parameters: NormalParameters) -> None:
        self.parameters = parameters

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-densities of rows of shape ``(n, D)``, float64, under each component: ``(K, n)``."""

    @abstractmethod
    def add(self, shares: Tensor) -> None:
        """Add the rows last looked at, weighted by shares of shape ``(K, n)``."""

    @abstractmethod
    def statistics(self) -> GaussianStatistics:
        """Return the statistics of all rows added."""

    def _from_deviations(self, count: Tensor, step: Tensor, second: Tensor) -> GaussianStatistics:
        """Return statistics from the mean and the products of deviations from the current means."""
        raw = GaussianStatistics(count, step, second)
        return GaussianStatistics(count, self.parameters.means + step, second - raw.products(step, count))

    def _from_scaled_sums(self, count: Tensor, first: Tensor, second: Tensor) -> GaussianStatistics:
        """Return statistics from raw sums of scaled rows.

        Parameters
        ----------
        count
            Shape ``(K, 1)`` or ``(K, D)``.
        first
            Shape ``(K, D)``.
        second
            In the form of the scatter.
        """
        mean = first / count.clamp_min(_TINY)
        centre, scale = self.parameters.centre, self.parameters.scale
        raw = GaussianStatistics(count, mean, second)
        scatter = second - raw.products(mean, count)
        units = scale * scale if raw.diagonal else scale * scale[:, None]
        return GaussianStatistics(count, centre + mean * scale, scatter * units)


class SumOfParts(NormalEStep):
    """A pass that adds up the statistics of parts of the rows, taken about the current means."""

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        self._total: GaussianStatistics | None = None

    def _add_part(self, count: Tensor, step: Tensor, scatter: Tensor) -> None:
        if self.parameters.covariance.tied:
            scatter = scatter.sum(0, keepdim=True)
        part = self._from_deviations(count, step, scatter)
        self._total = part if self._total is None else self._total + part

    def statistics(self) -> GaussianStatistics:
        """Return the total; nothing of anything if no rows were added."""
        if self._total is not None:
            return self._total
        means, covariance = self.parameters.means, self.parameters.covariance
        blocks = means[: covariance.blocks]
        scatter = torch.zeros_like(blocks if covariance.diagonal else torch.diag_embed(blocks))
        count = torch.zeros_like(means if covariance.diagonal else means[:, :1])
        return GaussianStatistics(count, means, scatter)
