"""Normal distributions for few rows: the covariance is shrunk towards equal variances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.latent import GaussianMixture, ProbabilisticPCA

__all__ = ["cautious_normal", "shrinkage", "shrunk_normal"]

# So that no direction is left without variance.
_LEAST, _MOST = 1e-3, 0.999


def shrinkage(x: Tensor, rows: int, weights: Tensor | None = None) -> float:
    r"""Return the share ρ of :math:`\mu I` in the covariance :math:`(1 - \rho) S + \rho \mu I`.

    With the mean variance μ of D columns and n rows it is the limit of the oracle that knows the normal
    distribution,

    .. math:: \rho = \frac{\mathrm{tr}(S^2) + \mathrm{tr}(S)^2}
       {(n + 1) (\mathrm{tr}(S^2) - \mathrm{tr}(S)^2 / D)},

    at most 1.

    Parameters
    ----------
    x
        Shape ``(m, D)``; a missing cell counts as the mean of its column.
    rows
        The number n of different rows among them; the others are noisy copies.
    weights
        How much each row counts, shape ``(m,)``; by default all count alike. Then n is their effective
        number.

    References
    ----------
    Chen, Wiesel, Eldar and Hero 2010, Shrinkage algorithms for MMSE covariance estimation.
    https://arxiv.org/abs/0907.4698

    Examples
    --------
    >>> 0.0 < shrinkage(torch.randn(10, 40), 10) < 1.0
    True
    """
    root = _root(x, weights)
    total = float(root.square().sum())
    squares = float((root @ root.mT).square().sum())
    excess = (rows + 1) * (squares - total * total / x.shape[1])
    share = (squares + total * total) / excess if excess > 0.0 else 1.0
    return min(max(share, _LEAST), _MOST)


@torch.no_grad()
def shrunk_normal(
    x: Tensor, share: float, rank: int | None = None, weights: Tensor | None = None
) -> ProbabilisticPCA:
    """Return the normal distribution with a shrunk covariance for no more rows than columns.

    It is probabilistic PCA of the rank of the rows: no D × D matrix is needed.

    Parameters
    ----------
    x
        Complete rows, shape ``(m, D)``.
    share
        The `shrinkage`.
    rank
        The rank that is kept, below D; by default that of the rows.
    weights
        How much each row counts, shape ``(m,)``; by default all count alike.
    """
    root = _root(x, weights)
    features = x.shape[1]
    _, values, right = torch.linalg.svd(root, full_matrices=False)
    rank = min(features, len(x)) - 1 if rank is None else rank
    model = ProbabilisticPCA(features, rank).double()
    spread = share * float(values.square().sum()) / features
    kept = min(rank, len(values))
    model.normal.means.copy_(_mean(x, weights)[None])
    model.loadings[:, :kept] = right[:kept].mT * values[:kept] * (1.0 - share) ** 0.5
    model.covariance.log_noise_variances.fill_(math.log(spread))
    return model


@torch.no_grad()
def cautious_normal(x: Tensor, rows: int, weights: Tensor | None = None) -> GaussianMixture:
    r"""Return a normal distribution that fits rows left out as well as its covariance says.

    The shrunk covariance is multiplied by the mean over rows i of
    :math:`\frac1D (x_i - \mu_{-i})^\top \Sigma_{-i}^{-1} (x_i - \mu_{-i})`, with mean and covariance of the
    other rows, if that is above 1: of few rows, the maximum of the likelihood is too narrow.

    Parameters
    ----------
    x
        Complete rows, shape ``(m, D)``: `rows` different ones, then noisy copies of all of them, in order.
    rows
        The number of different rows.
    weights
        How much each row counts, shape ``(m,)``; by default all count alike.
    """
    features = x.shape[1]
    every = x.new_ones(len(x)) if weights is None else weights
    each, counts = x.view(-1, rows, features), every.view(-1, rows)
    distances = []
    for row in range(rows) if rows > 2 else ():
        others = torch.cat([each[:, :row], each[:, row + 1 :]], 1).flatten(0, 1)
        own = torch.cat([counts[:, :row], counts[:, row + 1 :]], 1).flatten()
        away = each[:, row] - _mean(others, own)
        solved = torch.linalg.solve(_shrunk_covariance(others, own, rows - 1), away.mT).mT
        distances.append(float((away * solved).sum(1).mean()) / features)
    shares = counts[0] / counts[0].sum()
    factor = max(1.0, float(shares @ x.new_tensor(distances))) if distances else 1.0
    model = GaussianMixture(1, features, floor=0.0).double()
    covariance, mean = factor * _shrunk_covariance(x, every, rows), _mean(x, every)
    model.parts.set_units(mean, covariance.diagonal().sqrt())
    model.means.copy_(mean[None])
    model.covariance.update(covariance[None], x.new_ones(1, 1), model.parts.floors)
    return model


def _shrunk_covariance(x: Tensor, weights: Tensor, rows: int) -> Tensor:
    """Return the shrunk covariance of weighted rows, of which so many are different."""
    alike = float(weights.sum().square() / weights.square().sum()) / len(weights)
    root, share = _root(x, weights), shrinkage(x, max(1, round(alike * rows)), weights)
    identity = torch.eye(x.shape[1], dtype=x.dtype)
    mean: Tensor = root.square().sum() / x.shape[1]
    return (1.0 - share) * root.mT @ root + share * mean * identity


def _mean(x: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of the cells of each column that are there."""
    if weights is None:
        return x.nanmean(0)
    there = ~x.isnan() * weights[:, None]
    mean: Tensor = (x.nan_to_num(nan=0.0) * there).sum(0) / there.sum(0)
    return mean


def _root(x: Tensor, weights: Tensor | None) -> Tensor:
    """Return R such that the covariance is RᵀR."""
    away: Tensor = (x - _mean(x, weights)).nan_to_num(nan=0.0)
    return away / len(x) ** 0.5 if weights is None else away * (weights / weights.sum()).sqrt()[:, None]
