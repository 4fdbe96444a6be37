"""A fixed permutation as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.transforms.linear.matrix import Matrix
from logpx.transforms.permutation import Permutation

__all__ = ["PermutationMatrix"]


class PermutationMatrix(Matrix):
    """A fixed reordering of the rows, by index: nothing is multiplied or trained.

    In a `Convolution1x1` it reorders the channels of an image. For vectors there is `Permutation`.

    Parameters
    ----------
    n
        The number of rows and of columns.
    order
        Row i of the product is row ``order[i]`` of the columns. Without it the order is drawn from `seed`.
    seed
        The seed of the random order; ignored if `order` is given.

    Raises
    ------
    UsageError
        If `order` does not name every row exactly once.

    Examples
    --------
    >>> PermutationMatrix(3, [2, 0, 1]).multiply(torch.tensor([[10.0], [20.0], [30.0]])).mT
    tensor([[30., 10., 20.]])
    """

    def __init__(self, n: int, order: Sequence[int] | None = None, seed: int = 0) -> None:
        super().__init__(n)
        self.permutation = Permutation(n, order, seed)

    def apply_factors(self, columns: Tensor) -> Tensor:
        """Reorder the rows."""
        return columns.index_select(0, self.permutation.order)

    def multiply(self, columns: Tensor) -> Tensor:
        """Reorder the rows."""
        return self.apply_factors(columns)

    def dense(self) -> Tensor:
        """Return the matrix of zeros and ones, shape ``(n, n)``."""
        return self.apply_factors(torch.eye(self.n, device=self.permutation.order.device))

    def solve(self, columns: Tensor) -> Tensor:
        """Restore the order of the rows."""
        return columns.index_select(0, self.permutation.inverse_order)

    def log_abs_det(self) -> Tensor:
        """Return 0."""
        return torch.zeros((), device=self.permutation.order.device)
