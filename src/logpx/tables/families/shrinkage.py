"""Normal distributions for few rows: the covariance is shrunk towards equal variances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.latent import GaussianMixture, ProbabilisticPCA

__all__ = ["cautious_normal", "shrinkage", "shrunk_normal"]

# So that no direction is left without variance.
_LEAST, _MOST = 1e-3, 0.999


def shrinkage(x: Tensor, rows: int) -> float:
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

    References
    ----------
    Chen, Wiesel, Eldar and Hero 2010, Shrinkage algorithms for MMSE covariance estimation.

    Examples
    --------
    >>> 0.0 < shrinkage(torch.randn(10, 40), 10) < 1.0
    True
    """
    root = _root(x)
    total = float(root.square().sum())
    squares = float((root @ root.mT).square().sum())
    excess = (rows + 1) * (squares - total * total / x.shape[1])
    share = (squares + total * total) / excess if excess > 0.0 else 1.0
    return min(max(share, _LEAST), _MOST)


@torch.no_grad()
def shrunk_normal(x: Tensor, share: float, rank: int | None = None) -> ProbabilisticPCA:
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
    """
    root = _root(x)
    features = x.shape[1]
    _, values, right = torch.linalg.svd(root, full_matrices=False)
    rank = min(features, len(x)) - 1 if rank is None else rank
    model = ProbabilisticPCA(features, rank).double()
    spread = share * float(values.square().sum()) / features
    kept = min(rank, len(values))
    model.normal.means.copy_(x.mean(0)[None])
    model.loadings[:, :kept] = right[:kept].mT * values[:kept] * (1.0 - share) ** 0.5
    model.covariance.log_noise_variances.fill_(math.log(spread))
    return model


@torch.no_grad()
def cautious_normal(x: Tensor, rows: int) -> GaussianMixture:
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
    """
    features = x.shape[1]
    each = x.view(-1, rows, features)
    distances = []
    for row in range(rows) if rows > 2 else ():
        others = torch.cat([each[:, :row], each[:, row + 1 :]], 1).flatten(0, 1)
        away = each[:, row] - others.mean(0)
        solved = torch.linalg.solve(_shrunk_covariance(others, rows - 1), away.mT).mT
        distances.append(float((away * solved).sum(1).mean()) / features)
    factor = max(1.0, sum(distances) / len(distances)) if distances else 1.0
    model = GaussianMixture(1, features, floor=0.0).double()
    covariance = factor * _shrunk_covariance(x, rows)
    model.parts.set_units(x.mean(0), covariance.diagonal().sqrt())
    model.means.copy_(x.mean(0)[None])
    model.covariance.update(covariance[None], x.new_ones(1, 1), model.parts.floors)
    return model


def _shrunk_covariance(x: Tensor, rows: int) -> Tensor:
    root, share = _root(x), shrinkage(x, rows)
    identity = torch.eye(x.shape[1], dtype=x.dtype)
    mean: Tensor = root.square().sum() / x.shape[1]
    return (1.0 - share) * root.mT @ root + share * mean * identity


def _root(x: Tensor) -> Tensor:
    """Return R such that the covariance is RᵀR."""
    root: Tensor = (x - x.nanmean(0)).nan_to_num(nan=0.0) / len(x) ** 0.5
    return root
