"""Where EM starts."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import UsageError
from logpx.suggestions import suggestion

__all__ = ["STARTS", "initial_responsibilities"]

_MOST_ROWS = 20_000
_MOST_ROWS_OF_A_HIERARCHY = 2_000
_Rows = NDArray[np.float64]
_Labels = NDArray[np.int64]
_Assign = Callable[[_Rows, int, np.random.Generator], _Labels]


def _clustering() -> Any:
    """Return scikit-learn's clustering, and leave Python's generator, which its import draws from, alone."""
    state = random.getstate()
    # Imported late: scikit-learn takes as long to import as PyTorch, and every command would pay for it.
    import sklearn.cluster

    random.setstate(state)
    return sklearn.cluster


def _k_means(rows: _Rows, components: int, generator: np.random.Generator) -> _Labels:
    means = _clustering().KMeans(components, n_init=1, random_state=int(generator.integers(2**31)))
    labels: _Labels = means.fit(rows).labels_.astype(np.int64)
    return labels


def _k_means_plus_plus(rows: _Rows, components: int, generator: np.random.Generator) -> _Labels:
    centres, _ = _clustering().kmeans_plusplus(rows, components, random_state=int(generator.integers(2**31)))
    return _nearest(rows, centres)


def _random(rows: _Rows, components: int, generator: np.random.Generator) -> _Labels:
    centres = rows[generator.choice(len(rows), components, replace=False)]
    return _nearest(rows, centres)


def _hierarchical(rows: _Rows, components: int, generator: np.random.Generator) -> _Labels:
    subset = rows
    if len(rows) > _MOST_ROWS_OF_A_HIERARCHY:
        subset = rows[generator.choice(len(rows), _MOST_ROWS_OF_A_HIERARCHY, replace=False)]
    labels = _clustering().AgglomerativeClustering(components, linkage="ward").fit_predict(subset)
    centres = np.stack([subset[labels == label].mean(0) for label in range(components)])
    return labels.astype(np.int64) if subset is rows else _nearest(rows, centres)


def _nearest(rows: _Rows, centres: _Rows) -> _Labels:
    distances = np.square(centres).sum(1) - 2.0 * rows @ centres.T
    nearest: _Labels = distances.argmin(1)
    return nearest


# "Whitened" starts first transform the rows so that all directions have the same variance.
_METHODS: dict[str, tuple[_Assign, bool]] = {
    "k_means": (_k_means, False),
    "whitened_k_means": (_k_means, True),
    "k_means_plus_plus": (_k_means_plus_plus, False),
    "hierarchical": (_hierarchical, False),
    "whitened_hierarchical": (_hierarchical, True),
    "random": (_random, False),
}
STARTS = MappingProxyType(_METHODS)
_IN_TURN = (
    "k_means",
    "whitened_k_means",
    "hierarchical",
    "whitened_hierarchical",
    "k_means_plus_plus",
    "random",
)


def initial_responsibilities(rows: Tensor, components: int, seed: int, start: str | None = None) -> Tensor:
    """Assign rows to components.

    No single kind of start is right for all data: clusters that lie along a direction of high correlation are
    found only after whitening, clusters that cause the correlation only before.

    Parameters
    ----------
    rows
        Shape ``(n, D)``, float64; a missing cell is replaced by the mean of its column.
    components
        The number of clusters.
    seed
        Seeds the random parts of the start.
    start
        One of `STARTS`; None takes k-means for seed 0, whitened k-means for 1, and so on in turn.

    Returns
    -------
    Tensor
        0 or 1, shape ``(components, n)``.

    Raises
    ------
    UsageError
        If there is no such start.
    """
    name = _IN_TURN[seed % len(_IN_TURN)] if start is None else start
    if name not in STARTS:
        raise UsageError(f"there is no start {name!r}", fix=suggestion(str(name), list(STARTS)))
    assign, whitened = STARTS[name]
    generator = np.random.default_rng([abs(seed), int(seed < 0)])
    sample = _standardized(rows, whitened).numpy(force=True)
    subset = sample
    if len(sample) > _MOST_ROWS:
        subset = sample[generator.choice(len(sample), _MOST_ROWS, replace=False)]
    clusters = min(components, len(np.unique(subset, axis=0)))
    labels = assign(subset, clusters, generator) if clusters > 1 else np.zeros(len(subset), np.int64)
    if subset is not sample:
        centres = np.stack([subset[labels == label].mean(0) for label in np.unique(labels)])
        labels = _nearest(sample, centres)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels).to(rows.device), components)
    return one_hot.mT.to(rows.dtype)


def _standardized(rows: Tensor, whitened: bool) -> Tensor:
    present = ~rows.isnan()
    count = present.sum(0).clamp_min(1)
    centred = torch.where(present, rows - torch.where(present, rows, 0.0).sum(0) / count, 0.0)
    scale = (centred.square().sum(0) / count).sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    scaled = centred / scale
    if not whitened:
        return scaled
    values, vectors = torch.linalg.eigh(scaled.mT @ scaled / len(scaled))
    turned: Tensor = scaled @ vectors / values.clamp_min(1e-6).sqrt()
    return turned
