"""How many latent dimensions: Minka's evidence of probabilistic PCA."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.errors import UsageError

__all__ = ["principal_log_evidence"]


def principal_log_evidence(eigenvalues: Tensor, latent: int, rows: float) -> float:
    r"""Return Laplace's approximation of log p(data given q) for probabilistic PCA, in nats.

    Parameters
    ----------
    eigenvalues
        Of the covariance (divided by n), in decreasing order, shape ``(D,)``; above 0.
    latent
        The number of latent dimensions q, at least 1 and below D.
    rows
        The number of rows.

    Raises
    ------
    UsageError
        If q is out of range.

    References
    ----------
    Minka 2000, Automatic choice of dimensionality for PCA, equation 30.

    Examples
    --------
    >>> values = torch.tensor([9.0, 4.0, 1.0, 0.99, 0.98])
    >>> evidences = [principal_log_evidence(values, latent, 500) for latent in (1, 2, 3, 4)]
    >>> 1 + evidences.index(max(evidences))
    2
    """
    values = eigenvalues.double()
    features = len(values)
    if not 1 <= latent < features:
        raise UsageError(f"{latent} latent dimensions", fix=f"give a number from 1 to {features - 1}")
    own = torch.arange(1, latent + 1, dtype=torch.float64)
    halves = (features - own + 1.0) / 2.0
    log_volume = -latent * math.log(2.0) + float((torch.lgamma(halves) - halves * math.log(math.pi)).sum())
    noise = values[latent:].mean().clamp_min(torch.finfo(torch.float64).tiny)
    free = features * latent - latent * (latent + 1) / 2.0
    fitted = torch.cat([values[:latent], noise.expand(features - latent)])
    i, j = torch.triu_indices(latent, features, offset=1)
    gaps = (1.0 / fitted[j] - 1.0 / fitted[i]) * (values[i] - values[j])
    log_determinant = float((gaps.clamp_min(torch.finfo(torch.float64).tiny).log() + math.log(rows)).sum())
    likelihood = (
        -0.5 * rows * (float(values[:latent].log().sum()) + (features - latent) * math.log(float(noise)))
    )
    return (
        log_volume
        + likelihood
        + 0.5 * (free + latent) * math.log(2.0 * math.pi)
        - 0.5 * log_determinant
        - 0.5 * latent * math.log(rows)
    )
