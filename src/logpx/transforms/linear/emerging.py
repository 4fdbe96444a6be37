"""Two autoregressive convolutions of opposite orders, which together see a full square."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.transforms.chain import Chain
from logpx.transforms.linear.autoregressive_convolution import AutoregressiveConvolution

__all__ = ["EmergingConvolution"]


class EmergingConvolution(Chain):
    r"""An invertible d×d convolution, made of two autoregressive ones with opposite orders.

    Each of the two has a triangular Jacobian and half the receptive field; their product sees every pixel of
    the d×d square, and beyond. The ladj is read off the two diagonals, and the inverse is exact: H triangular
    solves for each of the two, for all images together (see `AutoregressiveConvolution`). It starts as
    the identity.

    Nothing bounds the weights off the diagonal. The inverse of large ones amplifies rounding from pixel to
    pixel, as that of any triangular system may.

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
