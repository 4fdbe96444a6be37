"""A matrix as an orthogonal and a triangular factor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.transforms.linear.householder import reflect
from logpx.transforms.linear.matrix import Matrix

__all__ = ["QRMatrix"]


class QRMatrix(Matrix):
    r"""W = Q R: Q a product of n Householder reflections, R upper triangular.

    The factors start as the decomposition of a random rotation; then both are trained, and

    .. math:: \log |\det W| = \sum_i \log |r_{ii}|

    costs O(n). Q stays orthogonal by construction, and the diagonal of R is a fixed sign times the
    exponential of a parameter, so W can never become singular. Vector i of the reflections has zeros
    before its i-th element, which is 1: together with R they fill one matrix of n² parameters.

    Parameters
    ----------
    n
        The number of rows and of columns.
    identity
        Start as the identity instead of a random rotation.

    References
    ----------
    Hoogeboom, van den Berg and Welling 2019, Emerging convolutions for generative normalizing flows,
    section 3.4. Stewart 1980, The efficient generation of random orthogonal matrices, section 3 (the start).
    https://arxiv.org/abs/1901.11137

    Examples
    --------
    >>> matrix = QRMatrix(3)
    >>> columns = torch.randn(3, 10)
    >>> torch.allclose(matrix.solve(matrix.multiply(columns)), columns, atol=1e-5)
    True
    """

    signs: Tensor

    def __init__(self, n: int, identity: bool = False) -> None:
        super().__init__(n)
        # The reflections of a QR decomposition of a normal matrix: each maps its column, which is normal
        # again, onto an axis. They are drawn here without the matrix.
        normal = torch.eye(n) if identity else torch.randn(n, n).tril()
        diagonal = normal.diagonal()
        signs = torch.where(diagonal < 0, 1.0, -1.0)
        self.factors = nn.Parameter((normal / (diagonal - signs * normal.norm(dim=0))).tril(-1))
        self.register_buffer("signs", signs)

    def _orthogonal(self, columns: Tensor, transpose: bool = False) -> Tensor:
        vectors = self.factors.tril(-1) + torch.ones_like(self.signs).diag()
        return reflect(vectors, 0.5 * vectors.square().sum(0), columns, transpose)

    def orthogonal(self) -> Tensor:
        """Return Q, shape ``(n, n)``."""
        return self._orthogonal(torch.ones_like(self.signs).diag())

    def upper(self) -> Tensor:
        """Return R, shape ``(n, n)``."""
        return self.factors.triu(1) + (self.signs * self.factors.diagonal().exp()).diag()

    def apply_factors(self, columns: Tensor) -> Tensor:
        """Multiply by R, then reflect."""
        return self._orthogonal(self.upper() @ columns)

    def dense(self) -> Tensor:
        """Return W itself, shape ``(n, n)``."""
        return self._orthogonal(self.upper())

    def solve(self, columns: Tensor) -> Tensor:
        """Reflect back, then solve with R once for all columns."""
        columns = self._orthogonal(columns, transpose=True)
        solution: Tensor = torch.linalg.solve_triangular(self.upper(), columns, upper=True)
        return solution

    def log_abs_det(self) -> Tensor:
        """Return the sum of the diagonal's logarithms, which are parameters."""
        return self.factors.diagonal().sum()
