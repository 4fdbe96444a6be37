"""Squeezing: blocks of 2 × 2 pixels become channels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.transforms.base import Transform, as_event_shape

__all__ = ["Squeezed", "as_image_shape", "check_even", "squeeze", "squeezed_shape", "unsqueeze"]


def as_image_shape(event_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of an image as channels, height and width.

    Raises
    ------
    UsageError
        If these are not three positive whole numbers.
    """
    shape = as_event_shape(event_shape)
    if len(shape) != 3:
        raise UsageError(
            f"an image of shape {shape}, where channels, height and width were expected",
            fix="give three numbers, such as (1, 28, 28) for a grey image",
        )
    return shape[0], shape[1], shape[2]


def check_even(event_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of an image whose height and width can be halved.

    Raises
    ------
    UsageError
        Naming the size that is odd.
    """
    channels, height, width = as_image_shape(event_shape)
    if height % 2 or width % 2:
        odd = " and ".join(
            f"{name} {size}" for name, size in (("height", height), ("width", width)) if size % 2
        )
        even = (channels, height + height % 2, width + width % 2)
        raise UsageError(
            f"an image of shape {(channels, height, width)} cannot be halved, because of its odd {odd}",
            fix=f"pad or crop the images, to {even} for example, or halve fewer times",
        )
    return channels, height, width


def squeezed_shape(event_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of the squeezed image, ``(4C, H/2, W/2)``."""
    channels, height, width = check_even(event_shape)
    return 4 * channels, height // 2, width // 2


def squeeze(x: Tensor) -> Tensor:
    """Return ``(*rows, C, H, W)`` as ``(*rows, 4C, H/2, W/2)``.

    The channels hold the pixels of even rows before those of odd rows, so the two halves of the channels are
    the even and the odd rows of the image.

    Examples
    --------
    >>> import torch
    >>> squeeze(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])).flatten()
    tensor([1., 2., 3., 4.])
    """
    *rows, height, width = x.shape
    blocks = x.view(*rows, height // 2, 2, width // 2, 2)
    return blocks.movedim((-3, -1), (-5, -4)).flatten(-5, -3)


def unsqueeze(z: Tensor) -> Tensor:
    """Return ``(*rows, 4C, H/2, W/2)`` as ``(*rows, C, H, W)``: the inverse of `squeeze`."""
    *rows, channels, height, width = z.shape
    blocks = z.view(*rows, 2, 2, channels // 4, height, width)
    return blocks.movedim((-5, -4), (-3, -1)).flatten(-2).flatten(-3, -2)


class Squeezed(Transform):
    """A transform of the squeezed image: four times the channels, half the height and half the width.

    From outside, the image keeps its shape.

    Parameters
    ----------
    transform
        A transform of event shape ``(4C, H/2, W/2)``; this one then has event shape ``(C, H, W)``.

    Raises
    ------
    UsageError
        If the number of channels of `transform` is not a multiple of 4.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, section 3.6.
    https://arxiv.org/abs/1605.08803

    Examples
    --------
    >>> import torch
    >>> from logpx.transforms import Affine
    >>> squeezed = Squeezed(Affine((4, 2, 2)))
    >>> squeezed.event_shape, squeezed.forward(torch.ones(1, 4, 4))[0].shape
    ((1, 4, 4), torch.Size([1, 4, 4]))
    """

    def __init__(self, transform: Transform) -> None:
        check_instance("transform", transform, Transform, "Affine((4, 2, 2))")
        channels, height, width = as_image_shape(transform.event_shape)
        if channels % 4:
            raise UsageError(
                f"a transform of {channels} channels, but a squeezed image has a multiple of 4",
                fix="for images of shape (C, H, W) build it for the event shape (4C, H/2, W/2)",
            )
        super().__init__((channels // 4, 2 * height, 2 * width), transform.context_features)
        self.transform = transform

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Squeeze, map, and undo the squeezing; its own ladj is 0."""
        z, ladj = self.transform.forward(squeeze(x), context)
        return unsqueeze(z), ladj

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Squeeze, map back, and undo the squeezing."""
        x, ladj = self.transform.inverse(squeeze(z), context)
        return unsqueeze(x), ladj

    @property
    def needs_data(self) -> bool:
        """Whether the transform needs data."""
        return self.transform.needs_data

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Initialise the transform on the squeezed rows."""
        self.transform.initialise(squeeze(x), context)
