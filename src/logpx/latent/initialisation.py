"""Where EM starts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["initial_responsibilities"]

_KMEANS_ROWS = 20_000


def initial_responsibilities(centred: Tensor, covariance: Tensor, components: int, seed: int) -> Tensor:
    """Assign rows to components by k-means on standardized or, for every other seed, whitened rows.

    No single kind of start is right for all data: clusters that lie along a direction of high correlation
    are found only after whitening, clusters that cause the correlation only before.

    Parameters
    ----------
    centred
        Centred rows, shape ``(n, D)``.
    covariance
        Their covariance, shape ``(D, D)``.
    components
        The number of clusters.
    seed
        Even seeds cluster standardized rows, odd ones whitened rows.

    Returns
    -------
    Tensor
        0 or 1, shape ``(components, n)``.
    """
    # Imported late: scikit-learn takes as long to import as PyTorch, and every command would wait for it.
    from sklearn.cluster import KMeans

    scale = covariance.diagonal().sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    rows = centred / scale
    if seed % 2:
        values, vectors = torch.linalg.eigh(covariance / scale / scale[:, None])
        rows = rows @ vectors / values.clamp_min(1e-6).sqrt()
    generator = np.random.default_rng(seed)
    sample = rows.numpy(force=True)
    subset = sample
    if len(sample) > _KMEANS_ROWS:
        subset = sample[generator.choice(len(sample), _KMEANS_ROWS, replace=False)]
    clusters = min(components, len(np.unique(subset, axis=0)))
    means = KMeans(clusters, n_init=1, random_state=int(generator.integers(2**31))).fit(subset)
    labels = torch.from_numpy(means.predict(sample)).long().to(centred.device)
    return torch.nn.functional.one_hot(labels, components).mT.to(centred.dtype)
