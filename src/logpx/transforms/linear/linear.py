"""A linear map of a vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.transforms.base import Transform
from logpx.transforms.linear.convolution1x1 import check_size
from logpx.transforms.linear.matrix import Matrix, full_precision
from logpx.transforms.linear.plu import PLUMatrix

__all__ = ["Linear"]


class Linear(Transform):
    r"""Multiply by an invertible matrix and shift: :math:`z = W x + b`.

    Its ladj is log abs(det W) for every row. The inverse solves for all rows at once.

    Parameters
    ----------
    features
        The number of features.
    matrix
        The matrix W, with as many rows as there are features; a `PLUMatrix` by default.

    Raises
    ------
    UsageError
        If the matrix has another size.

    Examples
    --------
    >>> linear = Linear(4)
    >>> x = torch.randn(5, 4)
    >>> z, ladj = linear.forward(x)
    >>> z.shape, ladj.shape
    (torch.Size([5, 4]), torch.Size([5]))
    """

    def __init__(self, features: int, matrix: Matrix | None = None) -> None:
        super().__init__(features)
        self.matrix = PLUMatrix(features) if matrix is None else matrix
        check_size(self.matrix, features, "features")
        self.bias = nn.Parameter(torch.zeros(features))

    def _ladj(self, x: Tensor) -> Tensor:
        return self.matrix.log_abs_det().to(x.dtype).expand(x.shape[:-1])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Multiply all rows by the matrix, and shift."""
        columns = x.movedim(-1, 0)
        with full_precision(x):
            z = self.matrix.multiply(columns.reshape(*self.event_shape, -1))
            # In the memory order that is fast for the layers after it.
            return z.reshape(columns.shape).movedim(0, -1).contiguous() + self.bias, self._ladj(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift back, and solve for all rows at once."""
        columns = (z - self.bias).movedim(-1, 0)
        with full_precision(z):
            x = self.matrix.solve(columns.reshape(*self.event_shape, -1))
            return x.reshape(columns.shape).movedim(0, -1).contiguous(), -self._ladj(z)
