"""Clusters of rows: the components of a mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.latent import LatentMixture
from logpx.representations import Shown
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.density import TableDensity
from logpx.tables.families.families import FAMILIES

__all__ = ["ClusteredBatch", "mixture_of"]


@dataclass(frozen=True, repr=False)
class ClusteredBatch(Shown):
    """The clusters of consecutive rows.

    Attributes
    ----------
    start : int
        The number of rows before the batch.
    probabilities : ndarray of float64
        p(component | row), shape ``(rows, K)``.
    """

    start: int
    probabilities: npt.NDArray[np.float64]

    @property
    def cluster(self) -> npt.NDArray[np.int64]:
        """The most probable component of each row, from 0."""
        best: npt.NDArray[np.int64] = self.probabilities.argmax(1)
        return best

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """The probability of that component."""
        highest: npt.NDArray[np.float64] = self.probabilities.max(1)
        return highest


def mixture_of(density: Distribution) -> tuple[ColumnScales, LatentMixture]:
    """Return the mixture of a table model, and the maps of its columns.

    Raises
    ------
    UsageError
        If the model is not a mixture.
    """
    if not isinstance(density, TableDensity) or not isinstance(density.model, LatentMixture):
        mixtures = FAMILIES.fix(lambda family: "components" in family.options)
        raise UsageError(
            "the model is not a mixture, so it has no clusters",
            fix=f"fit one: {mixtures}, perhaps with --components",
        )
    return density.columns, density.model
