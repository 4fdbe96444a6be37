"""Convolutions with a triangular Jacobian, inverted one row of pixels at a time, and pairs of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.transforms.base import Transform
from logpx.transforms.chain import Chain
from logpx.transforms.linear.convolution1x1 import check_image_shape
from logpx.transforms.linear.matrix import full_precision

__all__ = ["AutoregressiveConvolution", "EmergingConvolution"]


class AutoregressiveConvolution(Transform):
    r"""A d×d convolution in which a pixel sees itself, the pixels left of it and the rows above it.

    In the order row, column, channel, the Jacobian is lower triangular (upper triangular with `reverse`): at
    the pixel itself, channel i sees the channels before it, and itself with a positive weight
    :math:`e^{a_i}`. Hence

    .. math:: \log |\det \partial z / \partial x| = H W \sum_i a_i

    The inverse is exact and takes H steps. A row of pixels x obeys :math:`T x = z - A x_{above}`, where the
    rows above are already known and T, of W·C rows, is the same block-Toeplitz triangular matrix for every
    row of every image: it is built once, and each row needs one solve for all images together.

    It starts as the identity.

    Parameters
    ----------
    event_shape
        (channels, height, width).
    kernel
        The width d of the kernel, odd and at least 3.
    reverse
        Reverse every order: a pixel sees the pixels right of it and the rows below it.

    Raises
    ------
    UsageError
        If the event shape is not that of an image, or the kernel has no centre.

    References
    ----------
    Hoogeboom, van den Berg and Welling 2019, Emerging convolutions for generative normalizing flows,
    section 3.
    https://arxiv.org/abs/1901.11137

    Examples
    --------
    >>> convolution = AutoregressiveConvolution((2, 4, 4))
    >>> x = torch.randn(5, 2, 4, 4)
    >>> z, ladj = convolution.forward(x)
    >>> torch.equal(z, x), ladj.shape
    (True, torch.Size([5]))
    """

    def __init__(self, event_shape: Sequence[int], kernel: int = 3, reverse: bool = False) -> None:
        super().__init__(event_shape)
        check_image_shape(self.event_shape)
        check_count("kernel", kernel, least=3)
        if kernel % 2 == 0:
            raise UsageError(
                f"a kernel of width {kernel!r}",
                fix="give an odd whole number from 3, so that there is a centre",
            )
        channels, height, width = self.event_shape
        self.pixels = height * width
        self.reverse = reverse
        self.reach = reach = kernel // 2
        self.taps_above = [(row, column) for row in range(-reach, 0) for column in range(-reach, reach + 1)]
        self.taps_left = [(0, column) for column in range(-reach, 0)]
        # Output channel, tap, input channel.
        self.above = nn.Parameter(torch.zeros(channels, len(self.taps_above), channels))
        self.left = nn.Parameter(torch.zeros(channels, len(self.taps_left), channels))
        # Weights among the channels of a pixel below the diagonal, their logarithms a_i on it.
        self.centre = nn.Parameter(torch.zeros(channels, channels))

    def _at_centre(self) -> Tensor:
        return self.centre.tril(-1) + self.centre.diagonal().exp().diag()

    def _turned(self, x: Tensor) -> Tensor:
        return x.flip(-3, -2, -1) if self.reverse else x

    def _ladj(self, x: Tensor) -> Tensor:
        return (self.pixels * self.centre.diagonal().sum()).expand(x.shape[:-3])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Convolve, with one matrix product."""
        with full_precision(x):
            return self._turned(self._convolved(self._turned(x))), self._ladj(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve for one row of pixels after another, each for all images at once."""
        with full_precision(z):
            images = self._turned(z).reshape(-1, *self.event_shape)
            return self._turned(self._solved(images).reshape(z.shape)), -self._ladj(z)

    def _convolved(self, x: Tensor) -> Tensor:
        _, height, width = self.event_shape
        reach = self.reach
        channels_first = x.movedim(-3, 0)
        padded = functional.pad(channels_first, (reach, reach, reach, 0))
        shifted = [
            padded[..., reach + row : reach + row + height, reach + column : reach + column + width]
            for row, column in (*self.taps_above, *self.taps_left, (0, 0))
        ]
        kernel = torch.cat([self.above.flatten(1), self.left.flatten(1), self._at_centre()], 1)
        # Not torch's convolution: on a GPU it rounds its inputs to ten bits (TF32), and the inverse does not.
        return (kernel @ torch.cat(shifted).flatten(1)).reshape(channels_first.shape).movedim(0, -3)

    def _row_matrix(self) -> Tensor:
        """Return T, shape ``(W·C, W·C)``, whose rows and columns are ordered by column, then channel."""
        width = self.event_shape[2]
        matrix = torch.kron(self.centre.new_ones(width).diag(), self._at_centre())
        for (_, column), weight in zip(self.taps_left, self.left.unbind(1), strict=True):
            if -column < width:
                matrix = matrix + torch.kron(self.centre.new_ones(width + column).diag(column), weight)
        return matrix

    def _solved(self, images: Tensor) -> Tensor:
        channels, _, width = self.event_shape
        reach = self.reach
        row_matrix, kernel_above = self._row_matrix(), self.above.flatten(1)
        solved: list[Tensor] = []
        padded = [images.new_zeros(width + 2 * reach, channels, len(images))] * reach
        # Each row with shape (W, C, images).
        for index, row in enumerate(images.permute(2, 3, 1, 0).unbind()):
            above = [
                padded[index + reach + tap][reach + column : reach + column + width]
                for tap, column in self.taps_above
            ]
            right_side = row - kernel_above @ torch.cat(above, 1)
            x = torch.linalg.solve_triangular(row_matrix, right_side.flatten(0, 1), upper=False)
            solved.append(x.unflatten(0, (width, channels)))
            padded.append(functional.pad(solved[-1], (0, 0, 0, 0, reach, reach)))
        return torch.stack(solved).permute(3, 2, 0, 1)

    def extra_repr(self) -> str:
        """Show the event shape, the kernel and the order."""
        return f"{super().extra_repr()}, kernel={2 * self.reach + 1}, reverse={self.reverse}"


class EmergingConvolution(Chain):
    r"""An invertible d×d convolution, built from two autoregressive ones with opposite orders.

    Each of the two has a triangular Jacobian and half the receptive field; their product sees every pixel of
    the d×d square, and beyond. The ladj is read off the two diagonals, and the inverse is exact: H triangular
    solves for each of the two, for all images together (see `AutoregressiveConvolution`). It starts as
    the identity.

    Nothing bounds the weights off the diagonal. If they are large, the inverse amplifies rounding errors from
    pixel to pixel, as that of any triangular system may.

    Parameters
    ----------
    event_shape
        (channels, height, width).
    kernel
        The width d of the kernels, odd and at least 3.

    Raises
    ------
    UsageError
        If the event shape is not that of an image, or the kernel has no centre.

    References
    ----------
    Hoogeboom, van den Berg and Welling 2019, Emerging convolutions for generative normalizing flows,
    section 3.
    https://arxiv.org/abs/1901.11137

    Examples
    --------
    >>> import torch
    >>> convolution = EmergingConvolution((3, 8, 8), kernel=3)
    >>> z, ladj = convolution.forward(torch.randn(5, 3, 8, 8))
    >>> x, _ = convolution.inverse(z)
    >>> x.shape, ladj.shape
    (torch.Size([5, 3, 8, 8]), torch.Size([5]))
    """

    def __init__(self, event_shape: Sequence[int], kernel: int = 3) -> None:
        super().__init__(
            [AutoregressiveConvolution(event_shape, kernel, reverse) for reverse in (False, True)]
        )
