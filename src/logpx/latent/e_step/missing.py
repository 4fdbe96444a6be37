"""Rows grouped by their pattern of missing cells, so that cost follows the number of patterns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.latent.covariances.roots import triangular_root
from logpx.latent.e_step.base import NormalParameters, SumOfParts

__all__ = ["Conditionals", "Group", "MissingCells", "grouped", "numbered"]

_LOG_TWO_PI = math.log(2.0 * math.pi)
_TINY = torch.finfo(torch.float64).tiny
# The most numbers in the matrices of one group of patterns.
_MOST_NUMBERS = 4_000_000
_LARGEST_GROUP = 4096
# Bits of an int64 that keep it positive.
_BITS = 62


@dataclass(frozen=True)
class Group:
    """Patterns with about equally many rows.

    Parameters
    ----------
    present
        The observed cells of each pattern, shape ``(P, D)``, boolean.
    rows
        The rows of each pattern, shape ``(P, R)``; padded with -1.
    """

    present: Tensor
    rows: Tensor


def grouped(present: Tensor, per_pattern: int) -> Iterator[Group]:
    """Yield groups of patterns that together contain every row once.

    Parameters
    ----------
    present
        Which cells of each row are observed, shape ``(n, D)``, boolean.
    per_pattern
        How many numbers a pattern takes in memory, which limits the patterns in a group.

    Examples
    --------
    >>> present = torch.tensor([[True, True], [True, False], [True, True]])
    >>> [group.rows.tolist() for group in grouped(present, 1)]
    [[[1]], [[0, 2, -1, -1]]]
    """
    index, patterns = numbered(present)
    counts = index.bincount(minlength=len(patterns))
    order = torch.argsort(index, stable=True)
    starts = counts.cumsum(0) - counts
    # Padded to powers of four: few groups, and at most four times too many rows.
    sizes = torch.pow(4, torch.log2(counts.double()).div(2.0).ceil()).long().clamp_max(_LARGEST_GROUP)
    for size in sorted(set(sizes.tolist())):
        chosen = (sizes == size).nonzero().flatten()
        pieces = (counts[chosen] + size - 1) // size
        owner = torch.repeat_interleave(chosen, pieces)
        piece = torch.arange(len(owner), device=owner.device) - torch.repeat_interleave(
            pieces.cumsum(0) - pieces, pieces
        )
        within = piece[:, None] * size + torch.arange(size, device=owner.device)
        valid = within < counts[owner, None]
        places = (starts[owner, None] + within).clamp_max(len(order) - 1)
        rows = torch.where(valid, order[places], -1)
        most = max(1, _MOST_NUMBERS // max(per_pattern, size * per_pattern // present.shape[1]))
        for start in range(0, len(owner), most):
            yield Group(patterns[owner[start : start + most]], rows[start : start + most])


def numbered(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Assign numbers to the different patterns among the rows of a boolean matrix.

    Parameters
    ----------
    cells
        Shape ``(n, D)``.

    Returns
    -------
    number : Tensor
        The number of each row's pattern, shape ``(n,)``.
    patterns : Tensor
        Shape ``(P, D)``, boolean.

    Examples
    --------
    >>> number, patterns = numbered(torch.tensor([[True, True], [True, False], [True, True]]))
    >>> number.tolist(), patterns.tolist()
    ([1, 0, 1], [[True, False], [True, True]])
    """
    number = cells.new_zeros(len(cells), dtype=torch.int64)
    # Integers sort many times faster than rows.
    for part in torch.split(cells, _BITS, 1):
        words = (part * 2 ** torch.arange(part.shape[1], device=part.device)).sum(1)
        _, words = torch.unique(words, return_inverse=True)
        _, number = torch.unique(number * len(number) + words, return_inverse=True)
    patterns = cells.new_empty(int(number.max()) + 1 if len(number) else 0, cells.shape[1])
    patterns[number] = cells
    return number, patterns


class Conditionals:
    """For some patterns and all components, the distribution of the missing cells given the others.

    With the observed cells first, a triangular root of the covariance holds the root of the covariance of the
    missing cells given the others, and nothing has to be subtracted (Kailath, Sayed and Hassibi 2000, Linear
    Estimation, section 12.1).

    Parameters
    ----------
    means
        Shape ``(K, D)``.
    roots
        Square roots of the covariances, shape ``(K, D, m)``.
    present
        The observed cells of each pattern, shape ``(P, D)``.
    """

    def __init__(self, means: Tensor, roots: Tensor, present: Tensor) -> None:
        self.means, self.present = means, present
        self._order = torch.argsort(~present, dim=1, stable=True)
        self._place = torch.argsort(self._order, dim=1)
        self._known = present.gather(1, self._order)[:, None, None]
        self._factors = triangular_root(roots[:, self._order].transpose(0, 1))
        known = present.to(means.dtype).sum(-1, keepdim=True)
        logarithms = self._factors.diagonal(dim1=-2, dim2=-1).log()
        half_log_determinants = logarithms.masked_fill(~self._known.squeeze(2), 0.0).sum(-1)
        self.log_constants = -half_log_determinants - 0.5 * _LOG_TWO_PI * known

    def deviations(self, x: Tensor) -> Tensor:
        """Return deviations from the means, 0 where cells are missing.

        Parameters
        ----------
        x
            Rows of each pattern, shape ``(P, R, D)``.

        Returns
        -------
        Tensor
            Shape ``(P, K, R, D)``.
        """
        deviations = x[:, None] - self.means[:, None]
        return deviations.masked_fill(~self.present[:, None, None], 0.0)

    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of the observed cells, shape ``(P, K, R)``."""
        distances = self._standardised(deviations).square().sum(-1)
        values: Tensor = self.log_constants.unsqueeze(-1) - 0.5 * distances
        return values

    def filled(self, deviations: Tensor) -> Tensor:
        """Return deviations, with conditional means for missing cells."""
        expected = self._standardised(deviations) @ self._factors.mT
        place = self._place[:, None, None].expand_as(expected)
        return torch.where(self.present[:, None, None], deviations, expected.gather(3, place))

    def roots(self) -> Tensor:
        """Return triangular roots of the conditional covariances, 0 for observed cells: ``(P, K, D, D)``."""
        absent = self._factors.masked_fill(self._known | self._known.mT, 0.0)
        rows = absent.gather(2, self._place[:, None, :, None].expand_as(absent))
        return rows.gather(3, self._place[:, None, None].expand_as(rows))

    def covariances(self) -> Tensor:
        """Return the conditional covariances of the missing cells, 0 elsewhere: ``(P, K, D, D)``."""
        roots = self.roots()
        return roots @ roots.mT

    def _standardised(self, deviations: Tensor) -> Tensor:
        """Return deviations in order, divided by the root of the observed cells, and 0 for the others."""
        ordered = deviations.gather(3, self._order[:, None, None].expand_as(deviations))
        z: Tensor = torch.linalg.solve_triangular(self._factors, ordered.mT, upper=False).mT
        return z.masked_fill(~self._known, 0.0)


class MissingCells(SumOfParts):
    """Rows with missing cells under covariances that are not diagonal: exact, pattern by pattern.

    The E-step fills in conditional means and adds conditional covariances (Little and Rubin 2002, section
    11.2): without the latter, variances would shrink.
    """

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        components = len(parameters.means)
        self._roots = parameters.covariance.roots().expand(components, -1, -1)
        self._groups: list[tuple[Group, Conditionals, Tensor]] = []

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-densities of the observed cells; 0 where there are none."""
        components, features = self.parameters.means.shape
        self._groups.clear()
        result = x.new_empty(components, len(x) + 1)
        missing = x.isnan()
        x = x.masked_fill(missing, 0.0)
        for group in grouped(~missing, components * features * features):
            conditionals = Conditionals(self.parameters.means, self._roots, group.present)
            deviations = conditionals.deviations(x[group.rows])
            values = conditionals.log_normal(deviations)
            # Rows that only pad a group go to an extra last place that is never read.
            result[:, group.rows] = values.transpose(0, 1)
            self._groups.append((group, conditionals, deviations))
        return result[:, :-1]

    def add(self, shares: Tensor) -> None:
        """Add products of filled deviations, and the conditional covariances."""
        for group, conditionals, deviations in self._groups:
            weights = shares[:, group.rows].masked_fill(group.rows < 0, 0.0)
            filled = conditionals.filled(deviations).transpose(0, 1).flatten(1, 2)
            flat = weights.flatten(1)
            count = flat.sum(1, keepdim=True)
            step = (flat.unsqueeze(-2) @ filled).squeeze(-2) / count.clamp_min(_TINY)
            scatter = (filled * flat.unsqueeze(-1)).mT @ filled
            scatter = scatter + torch.einsum("kp,pkij->kij", weights.sum(-1), conditionals.covariances())
            self._add_part(count, step, scatter)
        self._groups.clear()
