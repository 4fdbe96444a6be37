"""The contract of every invertible matrix, whatever its factors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.configuration import Configured

__all__ = ["Matrix", "random_orthogonal"]


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
    # In the order in memory that a loaded one has: products are rounded alike.
    return signed.contiguous()


class Matrix(Configured, nn.Module):
    """A trained invertible matrix W, given by factors that make its determinant and its inverse cheap.

    Many vectors are multiplied or solved for at once, as the columns of one matrix.

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
        """Return W times the columns, factor by factor; of the shape of `columns`, ``(n, m)``."""
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
        # With more columns than rows the product of the factors pays for itself.
        return self.dense() @ columns if columns.shape[1] > self.n else self.apply_factors(columns)

    def extra_repr(self) -> str:
        """Show the size."""
        return f"n={self.n}"
