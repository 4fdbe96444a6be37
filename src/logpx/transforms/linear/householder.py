"""Products of Householder reflections in compact WY form, and an orthogonal matrix that is one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.transforms.linear.matrix import Matrix

__all__ = ["HouseholderMatrix", "reflect"]


def reflect(vectors: Tensor, half_norms: Tensor, columns: Tensor, transpose: bool = False) -> Tensor:
    r"""Return :math:`Q = H_1 \cdots H_k` times the columns, with :math:`H_i = I - 2 v_i v_i^T / v_i^T v_i`.

    Instead of k successive rank-one updates, the product is written as

    .. math:: Q = I - V T V^T, \qquad T^{-1} = \mathrm{striu}(V^T V) + \tfrac{1}{2} \mathrm{diag}(V^T V)

    which takes two matrix products, and one triangular solve of k rows for all columns.

    Parameters
    ----------
    vectors
        V, shape ``(n, k)``: one vector per reflection.
    half_norms
        :math:`v_i^T v_i / 2`, shape ``(k,)``, all positive.
    columns
        Shape ``(n, m)``.
    transpose
        Multiply by the transpose of Q, which is its inverse.

    Returns
    -------
    Tensor
        Shape ``(n, m)``.

    References
    ----------
    Schreiber and Van Loan 1989, A storage-efficient WY representation for products of Householder
    transformations. Joffrain et al. 2006, Accumulating Householder transformations, revisited (the inverse
    of T).

    Examples
    --------
    >>> reflect(torch.tensor([[1.0], [1.0]]), torch.ones(1), torch.eye(2))
    tensor([[ 0., -1.],
            [-1.,  0.]])
    """
    inverse_of_t = (vectors.mT @ vectors).triu(1) + half_norms.diag()
    inverse_of_t = inverse_of_t.mT if transpose else inverse_of_t
    coefficients = torch.linalg.solve_triangular(inverse_of_t, vectors.mT @ columns, upper=not transpose)
    reflected: Tensor = columns - vectors @ coefficients
    return reflected


class HouseholderMatrix(Matrix):
    r"""An orthogonal matrix :math:`Q = H_1 \cdots H_k`, each factor a reflection along a trained vector.

    Whatever the vectors, Q is orthogonal: its log abs(det) is 0 and its inverse is its transpose. The sign of
    its determinant is (−1)ᵏ, and n reflections, or n − 1, reach every orthogonal matrix of that sign.

    Parameters
    ----------
    n
        The number of rows and of columns.
    reflections
        The number k of factors; without it the largest even number up to n (2 for n = 1).
    identity
        Start as the identity (each vector occurs twice) instead of a random orthogonal matrix.

    Raises
    ------
    UsageError
        If `reflections` is not a positive whole number, or is odd although the start is the identity.

    References
    ----------
    Tomczak and Welling 2016, Improving variational auto-encoders using Householder flow.
    https://arxiv.org/abs/1611.09630

    Examples
    --------
    >>> matrix = HouseholderMatrix(4)
    >>> columns = torch.randn(4, 10)
    >>> torch.allclose(matrix.multiply(columns).norm(dim=0), columns.norm(dim=0))
    True
    """

    def __init__(self, n: int, reflections: int | None = None, identity: bool = False) -> None:
        super().__init__(n)
        number = max(2, n - n % 2) if reflections is None else reflections
        check_count("reflections", number)
        if identity and number % 2:
            raise UsageError(
                f"the product of {number} reflections has determinant −1 and cannot be the identity",
                fix=f"give an even number, such as reflections={number + 1}",
            )
        vectors = (
            torch.randn(n, number // 2).repeat_interleave(2, dim=1) if identity else torch.randn(n, number)
        )
        self.vectors = nn.Parameter(vectors)

    def _reflect(self, columns: Tensor, transpose: bool) -> Tensor:
        # A vector that has become 0 leaves every column unchanged.
        directions = functional.normalize(self.vectors, dim=0)
        return reflect(directions, torch.full_like(directions[0], 0.5), columns, transpose)

    def apply_factors(self, columns: Tensor) -> Tensor:
        """Return Q times the columns."""
        return self._reflect(columns, transpose=False)

    def multiply(self, columns: Tensor) -> Tensor:
        """Return Q times the columns, without forming Q: there may be fewer reflections than rows."""
        return self._reflect(columns, transpose=False)

    def solve(self, columns: Tensor) -> Tensor:
        """Return the transpose of Q times the columns."""
        return self._reflect(columns, transpose=True)

    def log_abs_det(self) -> Tensor:
        """Return 0."""
        return self.vectors.new_zeros(())
