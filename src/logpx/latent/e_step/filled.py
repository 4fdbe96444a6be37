"""Rows with missing cells, filled in by blocks of the precisions, each as large as its missing part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.e_step.missing import numbered
from logpx.latent.statistics import GaussianStatistics

__all__ = ["FilledRows"]

_LOG_TWO_PI = math.log(2.0 * math.pi)
_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class _Block:
    """Rows that miss about the same number of cells.

    Parameters
    ----------
    rows
        Which of the sorted rows of the chunk.
    pattern
        The number of each row's pattern, shape ``(n,)``.
    places
        The columns that each pattern misses, padded with others to a common width: ``(P, w)``.
    covariances
        The covariances of the missing cells given the others, 0 where padded: ``(K, P, w, w)``.
    """

    rows: slice
    pattern: Tensor
    places: Tensor
    covariances: Tensor


class FilledRows(NormalEStep):
    r"""Exact sums over rows with missing cells m under covariances that are not diagonal.

    Only the block :math:`\Lambda_{mm}` of the precision :math:`\Lambda` has to be inverted: it gives the
    conditional covariance of the missing cells, and their conditional mean, at which the squared distance of
    the whole row is least and equals that of the observed cells (Petersen and Pedersen 2012, section
    8.1; Little and Rubin 2002, section 11.2). Rounding grows with the condition of the covariances;
    `MissingCells` is for badly conditioned ones.
    """

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        components, features = parameters.means.shape
        precisions, log_determinants = parameters.precisions
        self._precisions = precisions.expand(components, -1, -1)
        self._roots = torch.linalg.cholesky(precisions)
        self._log_determinants = log_determinants.expand(components)[:, None]
        self._count = torch.zeros_like(parameters.means[:, :1])
        self._first = torch.zeros_like(parameters.means)
        self._second = self._first.new_zeros(components, features, features)
        self._deviations = self._first.new_empty(components, 0, features)
        self._order = torch.empty(0, dtype=torch.int64)
        self._blocks: list[_Block] = []

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-densities of the observed cells; 0 where there are none."""
        features = x.shape[1]
        missing = x.isnan()
        gone, self._order = missing.sum(1).sort()
        missing = missing[self._order]
        self._deviations = x[self._order] - self.parameters.means[:, None]
        self._deviations.masked_fill_(missing, 0.0)
        self._blocks.clear()
        constants = self._log_determinants + (features - gone).to(x.dtype) * _LOG_TWO_PI
        # Rows that miss up to 1, 2, 4, ... cells share one block size.
        most = [2**power for power in range(features.bit_length() + 1)]
        edges = torch.searchsorted(gone, torch.tensor([0, *most], device=gone.device), right=True).tolist()
        for start, stop in pairwise(edges):
            if stop > start:
                width = int(gone[stop - 1])
                constants[:, start:stop] += self._fill(slice(start, stop), missing[start:stop], width)
        distances = (self._deviations @ self._roots).square_().sum(-1)
        found = distances.add_(constants).mul_(-0.5).masked_fill_(gone == features, 0.0)
        result = torch.empty_like(found)
        result[:, self._order] = found
        return result

    def add(self, shares: Tensor) -> None:
        """Add products of filled deviations, and the conditional covariances."""
        shares = shares[:, self._order]
        self._count += shares.sum(1, keepdim=True)
        weighted = self._deviations * shares.unsqueeze(-1)
        self._first += weighted.sum(1)
        self._second.baddbmm_(weighted.mT, self._deviations)
        features = self._first.shape[1]
        for block in self._blocks:
            components, patterns = block.covariances.shape[:2]
            weights = shares.new_zeros(components, patterns)
            weights.index_add_(1, block.pattern, shares[:, block.rows])
            cells = (block.places.unsqueeze(-1) * features + block.places.unsqueeze(-2)).flatten()
            spread = (block.covariances * weights[..., None, None]).flatten(1)
            self._second.view(components, -1).index_add_(1, cells, spread)

    def statistics(self) -> GaussianStatistics:
        """Take the sums about the new means."""
        second = self._second
        if self.parameters.covariance.tied:
            second = second.sum(0, keepdim=True)
        step = self._first / self._count.clamp_min(_TINY)
        return self._from_deviations(self._count, step, second)

    def _fill(self, rows: slice, missing: Tensor, width: int) -> Tensor:
        """Fill in the missing deviations of some rows; return the log-determinants of their blocks."""
        pattern, patterns = numbered(missing)
        # The missing columns first; a pattern that misses fewer than the width is padded with others.
        places = patterns.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
        padded = ~patterns.gather(1, places)
        kept = ~(padded.unsqueeze(-1) | padded.unsqueeze(-2))
        blocks = self._precisions[:, places.unsqueeze(-1), places.unsqueeze(-2)]
        identity = torch.eye(width, dtype=blocks.dtype, device=blocks.device)
        factors = torch.linalg.cholesky(torch.where(kept, blocks, identity))
        covariances = torch.cholesky_inverse(factors) * kept
        deviations = self._deviations[:, rows]
        own = places[pattern].expand(len(deviations), -1, -1)
        slopes = (deviations @ self._precisions).gather(2, own)
        steps = (covariances[:, pattern] @ slopes.unsqueeze(-1)).squeeze(-1)
        deviations.scatter_add_(2, own, steps.neg_())
        self._blocks.append(_Block(rows, pattern, places, covariances))
        log_determinants: Tensor = 2.0 * factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_determinants[:, pattern]
