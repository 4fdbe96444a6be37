"""The posterior of a normal latent vector under a linear map with independent noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from logpx.distributions.missing import check_finite_or_missing
from logpx.latent.e_step import grouped
from logpx.transforms.base import check_event

__all__ = ["linear_posterior"]


def linear_posterior(
    loadings: Tensor, noise_variances: Tensor, mean: Tensor, x: Tensor
) -> MultivariateNormal:
    """Return p(z given x) for x = W z + mean + noise, with z standard normal.

    Parameters
    ----------
    loadings
        W, shape ``(D, q)``.
    noise_variances
        The variances of the noise, shape ``(D,)``.
    mean
        Shape ``(D,)``.
    x
        Shape ``(*rows, D)``; NaN for missing cells.

    Returns
    -------
    MultivariateNormal
        With batch shape ``(*rows,)`` and event shape ``(q,)``.

    Raises
    ------
    DataError
        If a cell is infinite.

    Examples
    --------
    >>> one = torch.ones(1)
    >>> linear_posterior(torch.ones(1, 1), one, 0.0 * one, torch.tensor([[2.0]])).mean
    tensor([[1.]])
    """
    check_event(x, tuple(mean.shape))
    x = x if x.is_floating_point() else x.to(mean.dtype)
    dtype, x = x.dtype, x.double()
    loadings, noise_variances, mean = loadings.double(), noise_variances.double(), mean.double()
    latent = loadings.shape[1]
    scaled = loadings / noise_variances[:, None]
    identity = torch.eye(latent, dtype=x.dtype, device=x.device)
    missing = x.isnan()
    check_finite_or_missing(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]))
    if not bool(missing.any()):
        precision = identity + loadings.mT @ scaled
        factor = torch.linalg.cholesky(precision)
        means = torch.cholesky_solve(((x - mean) @ scaled).unsqueeze(-1), factor).squeeze(-1)
        spread = torch.linalg.cholesky(torch.cholesky_inverse(factor)).to(dtype)
        return _normal(means.to(dtype), spread.expand(*x.shape[:-1], -1, -1))
    rows = x.reshape(-1, x.shape[-1])
    absent = missing.reshape(rows.shape)
    deviations = torch.where(absent, 0.0, rows - mean)
    precisions = x.new_empty(len(rows) + 1, latent, latent)
    for group in grouped(~absent, loadings.numel() * latent):
        present = group.present.to(x.dtype)
        own = identity + torch.einsum("pd,di,dj->pij", present, loadings, scaled)
        precisions[group.rows] = own[:, None].expand(*group.rows.shape, -1, -1)
    factors = torch.linalg.cholesky(precisions[:-1])
    means = torch.cholesky_solve((deviations @ scaled).unsqueeze(-1), factors).squeeze(-1)
    spreads = torch.linalg.cholesky(torch.cholesky_inverse(factors))
    shape = x.shape[:-1]
    return _normal(means.to(dtype).view(*shape, latent), spreads.to(dtype).view(*shape, latent, latent))


def _normal(mean: Tensor, factor: Tensor) -> MultivariateNormal:
    # torch's checks fail where there are no rows.
    return MultivariateNormal(mean, scale_tril=factor, validate_args=bool(mean.numel()))
