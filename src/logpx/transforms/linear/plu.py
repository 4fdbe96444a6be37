"""A matrix as a fixed permutation and two trained triangular factors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.transforms.linear.matrix import Matrix, random_orthogonal

__all__ = ["PLUMatrix"]


class PLUMatrix(Matrix):
    r"""W = P L U: rows permuted by a fixed P, L unit lower triangular, U upper triangular.

    A random rotation is decomposed once, when the matrix is built; then the factors are trained, and

    .. math:: \log |\det W| = \sum_i \log |u_{ii}|

    costs O(n). The diagonal of U is a fixed sign times the exponential of a parameter, so W can never become
    singular.

    Parameters
    ----------
    n
        The number of rows and of columns.
    identity
        Start as the identity instead of a random rotation.

    References
    ----------
    Kingma and Dhariwal 2018, Glow: generative flow with invertible 1×1 convolutions, section 3.2.
    https://arxiv.org/abs/1807.03039

    Examples
    --------
    >>> matrix = PLUMatrix(3)
    >>> columns = torch.randn(3, 10)
    >>> torch.allclose(matrix.solve(matrix.multiply(columns)), columns, atol=1e-5)
    True
    """

    order: Tensor
    inverse_order: Tensor
    signs: Tensor

    def __init__(self, n: int, identity: bool = False) -> None:
        super().__init__(n)
        permutation, lower, upper = torch.linalg.lu(torch.eye(n) if identity else random_orthogonal(n))
        diagonal = upper.diagonal()
        # As LAPACK packs them: L below the diagonal, U above it, log |u_ii| on it.
        packed = lower.tril(-1) + upper.triu(1) + diagonal.abs().log().diag()
        self.factors = nn.Parameter(packed.contiguous())
        self.register_buffer("order", permutation.argmax(1))
        self.register_buffer("inverse_order", permutation.argmax(0))
        self.register_buffer("signs", diagonal.sign())

    def lower(self) -> Tensor:
        """Return L, shape ``(n, n)``."""
        return self.factors.tril(-1) + torch.ones_like(self.signs).diag()

    def upper(self) -> Tensor:
        """Return U, shape ``(n, n)``."""
        return self.factors.triu(1) + (self.signs * self.factors.diagonal().exp()).diag()

    def apply_factors(self, columns: Tensor) -> Tensor:
        """Multiply by U, by L, and permute."""
        return (self.lower() @ (self.upper() @ columns)).index_select(0, self.order)

    def dense(self) -> Tensor:
        """Return W itself, shape ``(n, n)``."""
        return (self.lower() @ self.upper()).index_select(0, self.order)

    def solve(self, columns: Tensor) -> Tensor:
        """Undo the permutation, then solve with L and with U, each once for all columns."""
        columns = columns.index_select(0, self.inverse_order)
        columns = torch.linalg.solve_triangular(self.lower(), columns, upper=False, unitriangular=True)
        solution: Tensor = torch.linalg.solve_triangular(self.upper(), columns, upper=True)
        return solution

    def log_abs_det(self) -> Tensor:
        """Return the sum of the diagonal's logarithms, which are parameters."""
        return self.factors.diagonal().sum()
