"""EM for small Gaussian mixtures that leaves the least probable rows out, for many mixtures at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.latent.robust.scales import VARIANCE

__all__ = ["trimmed_mixtures"]

_ITERATIONS = 10
# EM finds its way with all rows; from then on the least probable ones are left out at each iteration.
_TRIMMED_FROM, _TRIMMED = 5, 0.25
_EMPTY = 1e-9


def trimmed_mixtures(y: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return m mixtures of K components, each fitted by trimmed EM to rows of its own.

    Parameters
    ----------
    y
        Shape ``(m, n, q)``, float64.
    starts
        The numbers of the rows at which means begin, shape ``(m, K)``.

    Returns
    -------
    tuple of Tensor
        Logarithms of weights ``(m, K)``, means ``(m, K, q)``, covariances ``(m, K, q, q)``, and the mean log
        p of the rows without the least probable ones, ``(m,)``.
    """
    (many, rows, width), size = y.shape, starts.shape[1]
    eye = torch.eye(width, dtype=y.dtype)
    spread = y.var(1, correction=0).mean(1)
    log_weights = y.new_full((many, size), -math.log(size))
    means = y.gather(1, starts[..., None].expand(-1, -1, width))
    covariances = ((spread[:, None, None, None] + VARIANCE) * eye).expand(-1, size, -1, -1)
    trimmed = int(_TRIMMED * rows)
    for iteration in range(_ITERATIONS):
        joint = _joint(y, log_weights, means, covariances)
        log_prob = torch.logsumexp(joint, 1)
        shares = torch.exp(joint - log_prob[:, None])
        if trimmed and iteration >= _TRIMMED_FROM:
            least = log_prob.kthvalue(trimmed, 1).values
            shares = shares * (log_prob > least[:, None]).to(y)[:, None]
        counts = shares.sum(2) + _EMPTY
        means = shares @ y / counts[..., None]
        deviations = y[:, None] - means[:, :, None]
        scatter = (deviations * shares[..., None]).mT @ deviations
        log_weights = (counts / counts.sum(1, keepdim=True)).log()
        covariances = scatter / counts[..., None, None] + VARIANCE * eye
    log_prob = torch.logsumexp(_joint(y, log_weights, means, covariances), 1)
    usual = log_prob.sort(1).values[:, trimmed:].mean(1)
    return log_weights, means, covariances, usual


def _joint(y: Tensor, log_weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Return log p of rows and components, ``(m, K, n)``."""
    factor = torch.linalg.cholesky(covariances)
    eye = torch.eye(y.shape[-1], dtype=y.dtype).expand_as(factor)
    whitening = torch.linalg.solve_triangular(factor, eye, upper=False)
    z = whitening @ y.mT[:, None] - whitening @ means[..., None]
    log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = log_weights - log_det - 0.5 * y.shape[-1] * math.log(2.0 * math.pi)
    joint: Tensor = constant[..., None] - 0.5 * z.square().sum(2)
    return joint
