"""The posterior of a normal latent vector under a linear map with independent noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from logpx.distributions.missing import check_finite_or_missing
from logpx.latent.covariances.roots import triangular_root
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
    scales = noise_variances.sqrt()
    scaled = loadings / scales[:, None]
    identity = torch.eye(latent, dtype=x.dtype, device=x.device)
    missing = x.isnan()
    check_finite_or_missing(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]))
    if not bool(missing.any()):
        gains, spread = _posterior_of(torch.cat([scaled, identity]))
        means = ((x - mean) / scales) @ gains.mT
        return _normal(means.to(dtype), spread.to(dtype).expand(*x.shape[:-1], -1, -1))
    rows = x.reshape(-1, x.shape[-1])
    absent = missing.reshape(rows.shape)
    deviations = torch.where(absent, 0.0, rows - mean)
    standardised = torch.cat([deviations, deviations[:1]]) / scales
    places, found, spreads = [], [], []
    for group in grouped(~absent, len(scaled) * max(latent, 1) ** 2):
        own = scaled * group.present.unsqueeze(-1)
        gains, spread = _posterior_of(torch.cat([own, identity.expand(len(own), -1, -1)], 1))
        valid = group.rows >= 0
        places.append(group.rows[valid])
        found.append((standardised[group.rows] @ gains.mT)[valid])
        spreads.append(spread[:, None].expand(*group.rows.shape, -1, -1)[valid])
    order, shape = torch.cat(places).argsort(), x.shape[:-1]
    mean_of_z = torch.cat(found)[order].to(dtype).view(*shape, latent)
    return _normal(mean_of_z, torch.cat(spreads)[order].to(dtype).view(*shape, latent, latent))


def _posterior_of(stacked: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gains and the triangular root of the covariance, from A above I: nothing is squared.

    With A above I = Q R the precision is RᵀR, so the covariance has the root 1 / R, and the gain is 1 / R
    times the transposed upper part of Q.
    """
    latent = stacked.shape[-1]
    q, r = torch.linalg.qr(stacked)
    identity = torch.eye(latent, dtype=r.dtype, device=r.device).expand_as(r)
    inverse = torch.linalg.solve_triangular(r, identity, upper=True)
    return inverse @ q[..., :-latent, :].mT if latent else q[..., :0].mT, triangular_root(inverse)


def _normal(mean: Tensor, factor: Tensor) -> MultivariateNormal:
    # torch's checks fail where there are no rows.
    return MultivariateNormal(mean, scale_tril=factor, validate_args=bool(mean.numel()))
