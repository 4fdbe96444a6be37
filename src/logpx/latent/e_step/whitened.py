"""Whitening by the factors of all components as one matrix product."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from logpx.latent.covariances.roots import triangular_root
from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.statistics import GaussianStatistics

__all__ = ["WhitenedRows", "part_edges"]

_LOG_TWO_PI = math.log(2.0 * math.pi)
# Products of fewer columns are slower than the zeros that they leave out.
_LEAST_COLUMNS = 20


def part_edges(features: int) -> list[int]:
    """Return where the parts of the columns begin, and where the last one ends.

    Examples
    --------
    >>> part_edges(28), part_edges(100)
    ([0, 14, 28], [0, 20, 40, 60, 80, 100])
    """
    parts = max(2, features // _LEAST_COLUMNS)
    return [features * part // parts for part in range(parts + 1)]


class WhitenedRows(NormalEStep):
    """Full covariances of few components: rows are whitened by the factors of all of them at once.

    The weights of second-order features have one row per component, and narrow products are slow; the
    factors, one below the other, have D times as many. They are triangular, and sums of products symmetric,
    so the columns are taken in parts, of which each is multiplied by itself and those before it alone.
    """

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        means = parameters.scaled_means
        components, features = means.shape
        roots = parameters.covariance.roots().expand(components, -1, -1)
        factors = triangular_root(roots / parameters.scale[:, None])
        inverses = torch.linalg.solve_triangular(
            factors, torch.eye(features).to(factors).expand_as(factors), upper=False
        )
        shift = -(inverses @ means.unsqueeze(-1))
        # In units of the scale, which puts its own determinant back.
        logs = factors.diagonal(dim1=-2, dim2=-1).log().sum(-1) + parameters.scale.log().sum()
        self._constant = -(logs + 0.5 * features * _LOG_TWO_PI).unsqueeze(-1)
        self._parts = [slice(start, end) for start, end in pairwise(part_edges(features))]
        self._whitening = [inverses[:, part, : part.stop].flatten(0, 1) for part in self._parts]
        self._shift = [shift[:, part].flatten(0, 1) for part in self._parts]
        self._second = [torch.zeros_like(whitening) for whitening in self._whitening]
        self._first, self._count = torch.zeros_like(means), torch.zeros_like(means[:, :1])
        self._columns = means.new_empty(0, 0)
        self._spare: list[Tensor] = []
        # (x - centre) / scale in one pass over the rows.
        self._unit = (1.0 / parameters.scale)[:, None]
        self._origin = -parameters.centre[:, None] * self._unit

    def log_prob(self, x: Tensor) -> Tensor:
        """Whiten the rows, and sum their squares."""
        if self._columns.shape[1:] != x.shape[:1]:
            self._columns = x.new_empty(x.shape[1], len(x))
            most = x.new_empty(max(len(shift) for shift in self._shift), len(x))
            self._spare = [most[: len(shift)] for shift in self._shift]
        torch.addcmul(self._origin, x.mT, self._unit, out=self._columns)
        result = self._constant.repeat(1, len(x))
        for part, whitening, shift, spare in zip(
            self._parts, self._whitening, self._shift, self._spare, strict=True
        ):
            torch.addmm(shift, whitening, self._columns[: part.stop], out=spare)
            result.sub_(spare.square_().view(len(result), -1, len(x)).sum(1), alpha=0.5)
        return result

    def add(self, shares: Tensor) -> None:
        """Multiply the columns, weighted by the shares, by the columns."""
        for part, second, spare in zip(self._parts, self._second, self._spare, strict=True):
            weighted = spare.view(len(shares), -1, shares.shape[1])
            torch.mul(shares[:, None], self._columns[part], out=weighted)
            second.addmm_(spare, self._columns[: part.stop].mT)
        self._first.addmm_(shares, self._columns.mT)
        self._count += shares.sum(1, keepdim=True)

    def statistics(self) -> GaussianStatistics:
        """Put the parts of the products together."""
        components, features = self._first.shape
        products = self._first.new_zeros(components, features, features)
        for part, second in zip(self._parts, self._second, strict=True):
            products[:, part, : part.stop] = second.view(components, -1, part.stop)
        products = products.tril() + products.tril(-1).mT
        return self._from_scaled_sums(self._count, self._first, products)
