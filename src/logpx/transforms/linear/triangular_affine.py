"""A shift and a triangular matrix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.errors import UsageError
from logpx.transforms.base import Transform, as_features
from logpx.transforms.linear.matrix import full_precision

__all__ = ["TriangularAffine"]


class TriangularAffine(Transform):
    r"""Trained shift and lower triangular matrix, :math:`z = L^{-1} (x - \mu)`.

    With standard normal noise, :math:`\mu` is the mean of x and L the Cholesky factor of its covariance. The
    diagonal of L is the exponential of a parameter, so it is positive and L never becomes singular; the ladj
    of every row is minus the sum of its logarithms. It starts as the identity.

    Parameters
    ----------
    features
        The number of features.

    Examples
    --------
    >>> affine = TriangularAffine.of(torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    >>> affine.inverse(torch.ones(1, 2))[0]
    tensor([[3., 4.]], grad_fn=<AddBackward0>)
    """

    def __init__(self, features: int) -> None:
        super().__init__(as_features(features))
        features = self.event_shape[0]
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_diagonal = nn.Parameter(torch.zeros(features))
        self.lower = nn.Parameter(torch.zeros(features, features))

    @classmethod
    def of(cls, shift: Tensor, factor: Tensor) -> TriangularAffine:
        """Return the map with the given shift and factor, in their precision.

        Parameters
        ----------
        shift
            Shape ``(features,)``.
        factor
            Lower triangular with a positive diagonal, shape ``(features, features)``.

        Raises
        ------
        UsageError
            If shapes do not fit, or the diagonal is not positive; entries above it are not checked.
        """
        if shift.dim() != 1 or factor.shape != (len(shift), len(shift)):
            raise UsageError(
                f"a shift of shape {tuple(shift.shape)} and a factor of shape {tuple(factor.shape)}",
                fix="give shapes (n,) and (n, n)",
            )
        diagonal = factor.diagonal()
        if not bool((diagonal > 0.0).all()):
            raise UsageError(
                f"a factor with {float(diagonal.min()):g} on its diagonal",
                fix="give a triangular matrix with a positive diagonal, such as a Cholesky factor",
            )
        found = cls(len(shift)).to(shift.dtype)
        with torch.no_grad():
            found.shift.copy_(shift)
            found.log_diagonal.copy_(diagonal.log())
            found.lower.copy_(factor.tril(-1))
        return found

    @property
    def factor(self) -> Tensor:
        """The lower triangular matrix L, shape ``(features, features)``."""
        return self.lower.tril(-1) + torch.diag_embed(self.log_diagonal.exp())

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift all rows, and solve for them at once."""
        centred = (x - self.shift).reshape(-1, *self.event_shape)
        with full_precision(x):
            z: Tensor = torch.linalg.solve_triangular(self.factor.mT, centred, upper=True, left=False)
        return z.view(x.shape), -self._ladj(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Multiply all rows by the matrix, and shift back."""
        with full_precision(z):
            return self.shift + z @ self.factor.mT, self._ladj(z)

    def _ladj(self, x: Tensor) -> Tensor:
        return self.log_diagonal.sum().expand(x.shape[:-1])
