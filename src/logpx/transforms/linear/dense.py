"""A matrix without structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.transforms.linear.matrix import Matrix, random_orthogonal

__all__ = ["DenseMatrix"]


class DenseMatrix(Matrix):
    """All n² entries trained freely; the determinant costs O(n³) at every call.

    Nothing keeps it from becoming singular in training. It starts well-conditioned.

    Parameters
    ----------
    n
        The number of rows and of columns.
    identity
        Start as the identity instead of as a random rotation.

    Examples
    --------
    >>> matrix = DenseMatrix(3)
    >>> columns = torch.randn(3, 10)
    >>> torch.allclose(matrix.solve(matrix.multiply(columns)), columns, atol=1e-5)
    True
    """

    def __init__(self, n: int, identity: bool = False) -> None:
        super().__init__(n)
        self.weight = nn.Parameter(torch.eye(n) if identity else random_orthogonal(n))

    def dense(self) -> Tensor:
        """Return the trained entries, shape ``(n, n)``."""
        return self.weight

    def apply_factors(self, columns: Tensor) -> Tensor:
        """Return W times the columns."""
        return self.weight @ columns

    def solve(self, columns: Tensor) -> Tensor:
        """Solve for all columns with one decomposition."""
        # Without the check for singularity, which would wait for the device.
        solution: Tensor = torch.linalg.solve_ex(self.weight, columns)[0]
        return solution

    def log_abs_det(self) -> Tensor:
        """Return the log absolute determinant, by a decomposition of its own."""
        log_abs_det: Tensor = torch.linalg.slogdet(self.weight)[1]
        return log_abs_det
