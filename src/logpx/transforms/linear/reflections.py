"""Products of Householder reflections, in compact WY form."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["reflect"]


def reflect(vectors: Tensor, half_norms: Tensor, columns: Tensor, transpose: bool = False) -> Tensor:
    r"""Return :math:`Q = H_1 \cdots H_k` times the columns, with :math:`H_i = I - 2 v_i v_i^T / v_i^T v_i`.

    Instead of k rank-one updates one after the other, the product is written as

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
