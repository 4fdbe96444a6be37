"""The rows that places in the latent space of a table's model stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from logpx.latent import VAE, LinearGaussian
from logpx.tables import TableModel
from logpx.tables.density import TableDensity

__all__ = ["LatentWalk"]


class LatentWalk:
    """The middle of p(x | z) in each column, for places z in latent space.

    Parameters
    ----------
    density
        The density of a table whose model has a latent space.
    """

    def __init__(self, density: TableDensity) -> None:
        self._density = density
        self._model: Any = density.model

    @classmethod
    def of(cls, model: TableModel) -> Self | None:
        """Return that of a probabilistic PCA, a factor analysis or an autoencoder; None for other models."""
        density = model.density
        if isinstance(density, TableDensity) and isinstance(density.model, LinearGaussian | VAE):
            return cls(density)
        return None

    @property
    def size(self) -> int:
        """How many dimensions the latent space has."""
        return int(self._model.latent)

    @torch.no_grad()
    def row(self, z: Sequence[float]) -> Tensor:
        """Return the row that a place stands for.

        Column maps rise, so that the middle in model units becomes the median in the table's.

        Parameters
        ----------
        z
            The first coordinates of the place, in deviations of the prior; the others are 0.

        Returns
        -------
        Tensor
            Shape ``(d,)``, float64: medians, and the most probable labels.
        """
        like = next(self._model.parameters())
        place = torch.zeros(1, self.size, dtype=like.dtype, device=like.device)
        place[0, : len(z)] = torch.tensor(z, dtype=like.dtype)
        middle = self._model.likelihood(place).mean
        return self._density.columns.inverse(middle)[0].cpu()
