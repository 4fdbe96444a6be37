"""Where an estimator's EM starts: as in scikit-learn, in its units and with its random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from logpx.errors import DataError, UsageError
from logpx.latent import STARTS, GaussianMixture
from logpx.latent.initialisation import initial_responsibilities
from logpx.suggestions import suggestion

__all__ = ["INIT_PARAMS", "MixtureStart"]

INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data", *(s for s in STARTS if s != "random"))

_MOST_SEED = np.iinfo(np.int32).max
_Numbers = NDArray[np.float64]


class MixtureStart:
    """Rows, their moments, and their assignment to components.

    Parameters
    ----------
    rows
        Shape ``(n, D)``; cells may be missing.
    weights
        The rows' weights, all above 0, or None.
    components
        The number of components.
    init_params
        One of `INIT_PARAMS`.

    Raises
    ------
    UsageError
        If there is no such start.
    DataError
        If a column has no value.
    """

    def __init__(self, rows: _Numbers, weights: _Numbers | None, components: int, init_params: str) -> None:
        if init_params not in INIT_PARAMS:
            raise UsageError(
                f"there is no init_params {init_params!r}", fix=suggestion(str(init_params), INIT_PARAMS)
            )
        missing = np.isnan(rows)
        present = (~missing).astype(np.float64) * (1.0 if weights is None else weights[:, None])
        counts = present.sum(0)
        if not counts.all():
            raise DataError("every cell is missing", column=int(counts.argmin()), fix="leave the column out")
        self.means = (np.where(missing, 0.0, rows) * present).sum(0) / counts
        self.variances = (np.square(np.where(missing, 0.0, rows - self.means)) * present).sum(0) / counts
        self.filled = np.where(missing, self.means, rows) if missing.any() else rows
        self.rows, self.weights, self.components, self.init_params = rows, weights, components, init_params

    @torch.no_grad()
    def give(self, model: GaussianMixture, random: np.random.RandomState) -> None:
        """Set a mixture's parameters to those that fit the initial responsibilities."""
        weights = np.ones(len(self.rows)) if self.weights is None else self.weights
        empty = np.isnan(self.rows).all(1)
        shares = torch.tensor(self.responsibilities(random) * np.where(empty, 0.0, weights))
        if self.filled is not self.rows:
            # Missing cells are filled in from the current components, which are all equal at first.
            alike = shares.sum(0, keepdim=True).expand(model.components, -1) / model.components
            model.maximise_assigned(torch.tensor(self.filled), alike)
        model.maximise_assigned(torch.tensor(self.rows), shares)

    def responsibilities(self, random: np.random.RandomState) -> _Numbers:
        """Return the initial p(component given row), shape ``(K, n)``."""
        count, components = len(self.rows), self.components
        if components == 1:
            return np.ones((1, count))
        if self.init_params == "random":
            shares = random.uniform(size=(count, components))
            return np.asarray((shares / shares.sum(1, keepdims=True)).T)
        if self.init_params in STARTS:
            seed = int(random.randint(_MOST_SEED))
            rows = torch.tensor(self.rows)
            return initial_responsibilities(rows, components, seed, self.init_params).numpy()
        return np.eye(components)[:, self._labels(random)]

    def _labels(self, random: np.random.RandomState) -> NDArray[Any]:
        from sklearn.cluster import KMeans, kmeans_plusplus
        from sklearn.metrics import pairwise_distances_argmin

        x, weights = self.filled, self.weights
        if self.init_params == "kmeans":
            clusters = KMeans(self.components, n_init=1, random_state=random)
            return np.asarray(clusters.fit(x, sample_weight=weights).labels_)
        if self.init_params == "k-means++":
            centres, _ = kmeans_plusplus(x, self.components, sample_weight=weights, random_state=random)
        else:
            shares = None if weights is None else weights / weights.sum()
            centres = x[random.choice(len(x), self.components, replace=False, p=shares)]
        return np.asarray(pairwise_distances_argmin(x, centres))
