"""The contract of every invertible matrix, whatever its factors, and one without factors."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.configuration import Configured

__all__ = ["DenseMatrix", "Matrix", "full_precision", "random_orthogonal"]


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which matrix products keep the dtype of their factors, even under autocast.

    Rounding in a conditioner changes only which map a layer is. Rounding the mapped data itself would make
    the map and its inverse disagree.

    Examples
    --------
    >>> x = torch.eye(2)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     with full_precision(x):
    ...         (x @ x).dtype
    torch.float32
    """
    # Meta tensors have no autocast.
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def random_orthogonal(n: int) -> Tensor:
    """Draw an orthogonal matrix uniformly (Haar measure), from torch's global generator.

    Examples
    --------
    >>> rotation = random_orthogonal(3)
    >>> torch.allclose(rotation @ rotation.mT, torch.eye(3), atol=1e-6)
    True
    """
    orthogonal, triangular = torch.linalg.qr(torch.randn(n, n))
    # The signs of the factors are a convention of the algorithm, and would not be uniform.
    signed: Tensor = orthogonal * triangular.diagonal().sign()
    # In the memory order of a loaded matrix, so that products round alike.
    return signed.contiguous()


class Matrix(Configured, nn.Module):
    """A trained invertible matrix W, given by factors that make its determinant and inverse cheap.

    Many vectors are multiplied or solved for at once, as columns of one matrix.

    Parameters
    ----------
    n
        The number of rows and of columns.

    Raises
    ------
    UsageError
        If `n` is not a positive whole number.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        check_count("n", n)
        self.n = n

    def apply_factors(self, columns: Tensor) -> Tensor:
        """Return W times the columns, factor by factor; shape ``(n, m)``, as `columns`."""
        raise NotImplementedError

    def solve(self, columns: Tensor) -> Tensor:
        """Return the inverse of W times the columns, without forming the inverse.

        Parameters
        ----------
        columns
            Shape ``(n, m)``: all right-hand sides at once.

        Returns
        -------
        Tensor
            Shape ``(n, m)``.
        """
        raise NotImplementedError

    def log_abs_det(self) -> Tensor:
        """Return the log absolute determinant of W in nats, one number of shape ``()``."""
        raise NotImplementedError

    def dense(self) -> Tensor:
        """Return W itself, shape ``(n, n)``."""
        factor = next(iter(self.parameters()))
        return self.apply_factors(torch.eye(self.n, dtype=factor.dtype, device=factor.device))

    def multiply(self, columns: Tensor) -> Tensor:
        """Return W times the columns.

        Parameters
        ----------
        columns
            Shape ``(n, m)``.

        Returns
        -------
        Tensor
            Shape ``(n, m)``.
        """
        # With more columns than rows, forming the product of the factors pays off.
        return self.dense() @ columns if columns.shape[1] > self.n else self.apply_factors(columns)

    def extra_repr(self) -> str:
        """Show the size."""
        return f"n={self.n}"


class DenseMatrix(Matrix):
    """All n² entries trained freely; the determinant costs O(n³) at every call.

    Nothing keeps it from becoming singular in training. It starts well-conditioned.

    Parameters
    ----------
    n
        The number of rows and of columns.
    identity
        Start as the identity instead of a random rotation.

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
        # No check for singularity, which would wait for the device.
        solution: Tensor = torch.linalg.solve_ex(self.weight, columns)[0]
        return solution

    def log_abs_det(self) -> Tensor:
        """Return the log absolute determinant, by its own decomposition."""
        log_abs_det: Tensor = torch.linalg.slogdet(self.weight)[1]
        return log_abs_det
