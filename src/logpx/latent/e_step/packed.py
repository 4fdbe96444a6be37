"""Second-order features: densities and sums as one matrix product each."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.latent.e_step.base import NormalEStep, NormalParameters
from logpx.latent.statistics import GaussianStatistics

__all__ = ["DiagonalFeatures", "PackedFeatures", "PooledFeatures"]

_LOG_TWO_PI = math.log(2.0 * math.pi)


class PackedFeatures(NormalEStep):
    """Full covariances: every log-density is linear in the products of a row's features.

    Only the D (D + 1) / 2 different products are formed, for many rows at once: each feature times the s-th
    feature after it in a circle, for s up to D / 2.
    """

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        precisions, log_determinants = parameters.precisions
        scaled = precisions * parameters.scale * parameters.scale[:, None]
        means = parameters.scaled_means
        components, features = means.shape
        self._pairs = _pairs_in_a_circle(features, means.device)
        scaled = scaled.expand(components, -1, -1)
        linear = (scaled @ means.unsqueeze(-1)).squeeze(-1)
        constant = -0.5 * ((linear * means).sum(-1) + log_determinants + features * _LOG_TWO_PI)
        halves = torch.where(self._pairs[0] == self._pairs[1], -0.5, -1.0)
        pairs = scaled[:, self._pairs[0], self._pairs[1]] * halves
        self._weights = torch.cat([pairs, constant[:, None], linear], 1)
        self._sums = torch.zeros_like(self._weights)
        self._features = self._columns = self._again = means.new_empty(0, 0)
        self._products: list[tuple[Tensor, Tensor, Tensor]] = []
        # (x - centre) / scale in one pass over the rows.
        self._unit = (1.0 / parameters.scale)[:, None]
        self._shift = -parameters.centre[:, None] * self._unit

    def log_prob(self, x: Tensor) -> Tensor:
        """Multiply the features of the rows by the weights of the components."""
        if self._features.shape[1:] != x.shape[:1]:
            self._allocate(x)
        torch.addcmul(self._shift, x.mT, self._unit, out=self._columns)
        self._again.copy_(self._columns[: len(self._again)])
        for one, other, target in self._products:
            torch.mul(one, other, out=target)
        return self._weights @ self._features

    def add(self, shares: Tensor) -> None:
        """Multiply the shares by the features."""
        self._sums.addmm_(shares, self._features.mT)

    def statistics(self) -> GaussianStatistics:
        """Unpack the sums."""
        components, features = self.parameters.means.shape
        pairs, count, first = torch.split(self._sums, [len(self._pairs[0]), 1, features], 1)
        second = pairs.new_empty(components, features, features)
        second[:, self._pairs[0], self._pairs[1]] = pairs
        second[:, self._pairs[1], self._pairs[0]] = pairs
        return self._from_scaled_sums(count, first, second)

    def _allocate(self, x: Tensor) -> None:
        """Lay out the features of a chunk: products, a one, the columns; then the first columns again."""
        rows, count = x.shape
        pairs, half, whole = len(self._pairs[0]), count // 2, (count + 1) // 2
        numbers = x.new_empty(pairs + 1 + count + half, rows)
        numbers[pairs] = 1.0
        self._features = numbers[: pairs + 1 + count]
        circle = numbers[pairs + 1 :]
        self._columns, self._again = circle[:count], circle[count:]
        following = circle.as_strided((whole, count, rows), (rows, rows, 1))
        target = numbers[: whole * count].view(whole, count, rows)
        self._products = [(self._columns.expand_as(target), following, target)]
        if half == whole:
            # Halfway round, every pair would occur twice.
            self._products.append((circle[:half], circle[half:count], numbers[whole * count : pairs]))


def _pairs_in_a_circle(features: int, device: torch.device) -> Tensor:
    """Return the indices of all pairs, shape ``(2, D (D + 1) / 2)``, by their distance in a circle."""
    first = torch.arange(features * (features + 1) // 2, device=device)
    return torch.stack([first % features, (first % features + first // features) % features])


class PooledFeatures(NormalEStep):
    """One full covariance for all components: rows are whitened once, and squares summed once."""

    def __init__(self, parameters: NormalParameters) -> None:
        super().__init__(parameters)
        precisions, log_determinants = parameters.precisions
        scaled = precisions[0] * parameters.scale * parameters.scale[:, None]
        self._whitening = torch.linalg.cholesky(scaled).mT
        features = len(scaled)
        self._means = parameters.scaled_means @ self._whitening.mT
        self._constant = -0.5 * (self._means.square().sum(-1) + log_determinants[0] + features * _LOG_TWO_PI)
        self._first = torch.zeros_like(self._means)
        self._second = torch.zeros_like(scaled)
        self._count = torch.zeros_like(self._constant)
        self._rows = self._means.new_empty(0)
        self._unit = (1.0 / parameters.scale)[:, None]
        self._shift = -parameters.centre[:, None] * self._unit

    def log_prob(self, x: Tensor) -> Tensor:
        """Whiten the rows, and multiply them by the whitened means."""
        if self._rows.shape != (x.shape[1], len(x)):
            self._rows = x.new_empty(x.shape[1], len(x))
        torch.addcmul(self._shift, x.mT, self._unit, out=self._rows)
        whitened = self._whitening @ self._rows
        joint = torch.addmm(self._constant[:, None], self._means, whitened)
        return joint.sub_(whitened.square_().sum(0), alpha=0.5)

    def add(self, shares: Tensor) -> None:
        """Sum the rows by component, and their products by the sum of their shares."""
        self._first.addmm_(shares, self._rows.mT)
        self._second.addmm_(self._rows * shares.sum(0), self._rows.mT)
        self._count += shares.sum(1)

    def statistics(self) -> GaussianStatistics:
        """Subtract the spread of the means from the sum of products."""
        return self._from_scaled_sums(self._count[:, None], self._first, self._second[None])


class DiagonalFeatures(NormalEStep):
    """Diagonal covariances: features are the squares and the values, and which cells are observed.

    A missing cell (NaN) drops out of densities and sums, which is exact here.

    Parameters
    ----------
    parameters
        Where the densities are taken.
    missing
        Whether cells are missing.
    """

    def __init__(self, parameters: NormalParameters, missing: bool = True) -> None:
        super().__init__(parameters)
        precisions, _ = parameters.precisions
        means = parameters.scaled_means
        components, self._count = means.shape
        precisions = (precisions * parameters.scale.square()).expand(components, -1)
        linear = precisions * means
        # In units of the scale; each observed cell puts its own back.
        own = -0.5 * (linear * means - precisions.log() + _LOG_TWO_PI) - parameters.scale.log()
        self._square_and_linear = torch.cat([-0.5 * precisions, linear], 1)
        self._own = own
        self._constant = own.sum(-1, keepdim=True)
        self._sums = torch.zeros_like(self._square_and_linear)
        self._counts = torch.zeros_like(own)
        self._features = means.new_empty(0)
        self._present: Tensor | None = None
        self._missing = missing
        self._unit = 1.0 / parameters.scale
        self._shift = -parameters.centre * self._unit

    def log_prob(self, x: Tensor) -> Tensor:
        """Multiply squares and values by the weights of the components."""
        size = (len(x), 2 * self._count)
        if self._features.shape != size:
            self._features = x.new_empty(size)
        # Row by row, as the rows themselves: transposing them would take as long as a product.
        squares, columns = self._features.chunk(2, 1)
        torch.addcmul(self._shift, x, self._unit, out=columns)
        self._present = None
        if self._missing:
            missing = columns.isnan()
            columns.masked_fill_(missing, 0.0)
            self._present = (~missing).to(x.dtype)
        torch.mul(columns, columns, out=squares)
        if self._present is None:
            return torch.addmm(self._constant, self._square_and_linear, self._features.mT)
        return torch.addmm(self._own @ self._present.mT, self._square_and_linear, self._features.mT)

    def add(self, shares: Tensor) -> None:
        """Multiply the shares by squares, values and presence."""
        self._sums.addmm_(shares, self._features)
        if self._present is None:
            self._counts += shares.sum(1, keepdim=True)
        else:
            self._counts.addmm_(shares, self._present)

    def statistics(self) -> GaussianStatistics:
        """Pool the squares where the components share their variances."""
        second, first = self._sums.chunk(2, 1)
        if self.parameters.covariance.tied:
            mean = first / self._counts.clamp_min(torch.finfo(first.dtype).tiny)
            second = (second - mean * first).sum(0, keepdim=True)
            mean_only = self._from_scaled_sums(self._counts, first, torch.zeros_like(second))
            return GaussianStatistics(
                mean_only.count, mean_only.mean, second * self.parameters.scale.square()
            )
        return self._from_scaled_sums(self._counts, first, second)
