"""The contract of a kind of covariance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from logpx.arguments import check_count

__all__ = ["ALMOST", "NO_ROWS", "Covariance"]

# Less weight than this counts as none.
NO_ROWS = 1e-10
# Rounding may lower a floor by this factor.
ALMOST = 1.0 - 1e-6


class Covariance(nn.Module, ABC):
    """The covariances of K normal distributions of D features: one each, or one for all of them.

    It owns its parameters, its M-step and its density, so no other code depends on its kind.

    Parameters
    ----------
    components
        The number of normal distributions K.
    features
        The number of features D.
    tied
        Whether one matrix serves all K.

    Attributes
    ----------
    diagonal : bool
        Whether the matrices are diagonal, so that sums of squares suffice as statistics.
    shares_noise : bool
        Whether one variance of noise serves all features, so that a constant one has a density, too.
    blocks : int
        The number of matrices: K, or 1.
    """

    diagonal: ClassVar[bool] = False
    shares_noise: ClassVar[bool] = False
    # Whatever the floor, so much is left for rounding.
    least_floor: ClassVar[float] = 1e-14

    def __init__(self, components: int, features: int, tied: bool = False) -> None:
        super().__init__()
        check_count("components", components)
        check_count("features", features)
        self.components, self.features, self.tied = components, features, tied
        self.blocks = 1 if tied else components

    @property
    @abstractmethod
    def free_parameters(self) -> int:
        """How many numbers can vary independently."""

    @abstractmethod
    def matrices(self) -> Tensor:
        """Return the covariance matrices, shape ``(blocks, D, D)``, in float64 because of small variances."""

    @abstractmethod
    def roots(self) -> Tensor:
        r"""Return square roots F of the covariances :math:`F F^\top` in float64, ``(blocks, D, m)``, m ≥ D.

        They keep deviations far below the largest, which the products lose.
        """

    @abstractmethod
    def precisions(self) -> tuple[Tensor, Tensor]:
        """Return the inverses in float64, shape ``(blocks, D, D)`` or, if diagonal, ``(blocks, D)``.

        The second tensor holds the log-determinants of the covariances, shape ``(blocks,)``.
        """

    @abstractmethod
    def log_normal(self, deviations: Tensor) -> Tensor:
        """Return the log-density of deviations from the means in nats.

        Parameters
        ----------
        deviations
            Shape ``(K, n, D)``.

        Returns
        -------
        Tensor
            Shape ``(K, n)``, differentiable, in the dtype of the deviations.
        """

    @abstractmethod
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        r"""M-step: maximise :math:`-\log|\Sigma| - \mathrm{tr}(\Sigma^{-1} S)`.

        Parameters
        ----------
        averages
            The average scatter S of every block, in float64; shape ``(blocks, D, D)`` or, if diagonal,
            ``(blocks, D)``.
        rows
            How many rows each averages, shape ``(blocks, 1)`` or, if diagonal, ``(blocks, D)``; a block
            without rows stays unchanged.
        floor
            The least variance of every feature, shape ``(D,)``: after division of the features by its square
            root, no direction has a variance below 1.
        """

    @abstractmethod
    def spread(self, chosen: Tensor, noise: Tensor) -> Tensor:
        """Turn standard normal noise of shape ``(n, D)`` into noise with the covariances of components."""

    @abstractmethod
    def penalty(self, scatter: Tensor) -> Tensor:
        r"""Return :math:`\log|\Sigma| + \mathrm{tr}(\Sigma^{-1} S)` of each block, shape ``(blocks,)``."""

    def smallest(self, floor: Tensor) -> Tensor:
        """Return the least variance of each block in any direction, in units of the floor: ``(blocks,)``."""
        values: Tensor = torch.linalg.svdvals(self.roots().detach() / floor.sqrt()[:, None])
        return values[:, -1].square()

    def forget(self) -> None:
        """Make the next M-step independent of the current parameters; most M-steps always are."""
        return

    def feasible(self, floor: Tensor) -> bool:
        """Return whether the covariances respect the floor; extrapolated ones may not."""
        return bool((self.smallest(floor) >= ALMOST).all())

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"components={self.components}, features={self.features}, tied={self.tied}"
