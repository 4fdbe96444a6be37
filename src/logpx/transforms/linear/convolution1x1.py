"""The same linear map of the channels at every pixel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.transforms.base import Transform
from logpx.transforms.linear.matrix import Matrix, full_precision
from logpx.transforms.linear.plu import PLUMatrix

__all__ = ["Convolution1x1", "check_image_shape", "check_size"]


def check_image_shape(event_shape: tuple[int, ...]) -> None:
    """Refuse event shapes other than (channels, height, width).

    Raises
    ------
    UsageError
        Naming the shape.
    """
    if len(event_shape) != 3:
        raise UsageError(
            f"a layer for images with event shape {event_shape}",
            fix="give (channels, height, width), such as (3, 32, 32)",
        )


def check_size(matrix: Matrix, size: int, what: str) -> None:
    """Refuse a matrix whose size does not fit what it mixes.

    Raises
    ------
    UsageError
        Naming both sizes.
    """
    check_instance("matrix", matrix, Matrix, f"PLUMatrix({size})")
    if matrix.n != size:
        raise UsageError(
            f"a matrix of {matrix.n} rows for {size} {what}",
            fix=f"build the matrix with n={size}",
        )


class Convolution1x1(Transform):
    r"""Multiply the channels of every pixel by one invertible matrix W: a 1×1 convolution.

    .. math:: z_{:,hw} = W x_{:,hw}, \qquad \log |\det \partial z / \partial x| = H W \log |\det W|

    The inverse solves for all pixels of all rows at once.

    Parameters
    ----------
    event_shape
        (channels, height, width).
    matrix
        The matrix, with as many rows as there are channels; a `PLUMatrix` by default.

    Raises
    ------
    UsageError
        If the event shape is not that of an image, or the matrix has another size.

    References
    ----------
    Kingma and Dhariwal 2018, Glow: generative flow with invertible 1×1 convolutions, section 3.2.
    https://arxiv.org/abs/1807.03039

    Examples
    --------
    >>> import torch
    >>> convolution = Convolution1x1((3, 4, 4))
    >>> z, ladj = convolution.forward(torch.randn(5, 3, 4, 4))
    >>> z.shape, ladj.shape
    (torch.Size([5, 3, 4, 4]), torch.Size([5]))
    """

    def __init__(self, event_shape: Sequence[int], matrix: Matrix | None = None) -> None:
        super().__init__(event_shape)
        check_image_shape(self.event_shape)
        channels, height, width = self.event_shape
        self.pixels = height * width
        self.matrix = PLUMatrix(channels) if matrix is None else matrix
        check_size(self.matrix, channels, "channels")

    def _ladj(self, x: Tensor) -> Tensor:
        return (self.pixels * self.matrix.log_abs_det().to(x.dtype)).expand(x.shape[:-3])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Multiply the channels of all pixels by the matrix."""
        pixels = x.movedim(-3, 0)
        with full_precision(x):
            z = self.matrix.multiply(pixels.flatten(1)).reshape(pixels.shape)
            return z.movedim(0, -3), self._ladj(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve for the channels of all pixels at once."""
        pixels = z.movedim(-3, 0)
        with full_precision(z):
            x = self.matrix.solve(pixels.flatten(1)).reshape(pixels.shape)
            return x.movedim(0, -3), -self._ladj(z)
