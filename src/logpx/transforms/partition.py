"""How a coupling layer divides an event: the part it keeps, and the part it maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.nets.convolutional import ConvolutionalResNet, equal_widths
from logpx.nets.mlp import MLP
from logpx.transforms.base import as_event_shape
from logpx.transforms.squeezed import as_image_shape, check_even, unsqueeze

__all__ = ["Channels", "Checkerboard", "Halves", "Partition"]


# Parameters of an element.
_MANY = 8


class Partition(Configured):
    """A division of an event into two parts, with the conditioner that suits them.

    Attributes
    ----------
    event_shape, kept_shape, moved_shape : tuple of int
        The shapes of the whole and of its parts.
    """

    event_shape: tuple[int, ...]
    kept_shape: tuple[int, ...]
    moved_shape: tuple[int, ...]

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kept and the moved part: ``(*rows, *kept_shape)`` and ``(*rows, *moved_shape)``."""
        raise NotImplementedError

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Return the whole; the inverse of `split`."""
        raise NotImplementedError

    def conditioner(self, parameters: int, hidden: Sequence[int], context: int) -> nn.Module:
        """Return a net from the kept part to `parameters` numbers per moved element."""
        raise NotImplementedError

    def arrange(self, outputs: Tensor, parameters: int) -> Tensor:
        """Return outputs of such a net in the shape ``(*rows, *moved_shape, parameters)``."""
        raise NotImplementedError


class Halves(Partition):
    """The first and the second half of a vector; if they differ in size, the second is larger.

    Parameters
    ----------
    features
        The number of features.
    flip
        Keep the second half and move the first; the first is then the larger.

    Examples
    --------
    >>> import torch
    >>> Halves(3).split(torch.tensor([1.0, 2.0, 3.0]))
    (tensor([1.]), tensor([2., 3.]))
    """

    def __init__(self, features: int, flip: bool = False) -> None:
        self.event_shape = as_event_shape(features)
        if len(self.event_shape) != 1:
            raise UsageError(
                f"an event of shape {self.event_shape} cannot be split as a vector",
                fix="for images give partition=Channels(event_shape) or partition=Checkerboard(event_shape)",
            )
        (features,) = self.event_shape
        self.flip = flip
        first = (features + 1) // 2 if flip else features // 2
        self._sizes = [first, features - first]
        kept, moved = reversed(self._sizes) if flip else self._sizes
        self.kept_shape, self.moved_shape = (kept,), (moved,)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return two views of x."""
        first, second = torch.split(x, self._sizes, -1)
        return (second, first) if self.flip else (first, second)

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Put the halves side by side."""
        halves = (moved, kept) if self.flip else (kept, moved)
        if moved.dim() == 2 and moved.stride(0) == 1 and not moved.is_contiguous():
            # The values of all rows lie together, and stay so.
            return torch.cat([half.t() for half in halves]).t()
        return torch.cat(halves, -1)

    def conditioner(self, parameters: int, hidden: Sequence[int], context: int) -> nn.Module:
        """Return a `logpx.nets.MLP`."""
        net = MLP(self.kept_shape[0], self.moved_shape[0] * parameters, hidden, context)
        # Splines sum over the parameters of an element, which are then best far apart.
        net.rows_together = parameters >= _MANY
        return net

    def arrange(self, outputs: Tensor, parameters: int) -> Tensor:
        """Take the parameters of one feature from neighbouring outputs."""
        return outputs.view(*outputs.shape[:-1], self.moved_shape[0], parameters)


class _ImagePartition(Partition):
    """Parts that are images themselves."""

    def conditioner(self, parameters: int, hidden: Sequence[int], context: int) -> nn.Module:
        """Return a `logpx.nets.ConvolutionalResNet` with one block per entry of `hidden`."""
        width, blocks = equal_widths(hidden)
        return ConvolutionalResNet(
            self.kept_shape[0], self.moved_shape[0] * parameters, width, blocks, context=context
        )

    def arrange(self, outputs: Tensor, parameters: int) -> Tensor:
        """Take each parameter from a block of channels, so that it is contiguous in memory."""
        *rows, _, height, width = outputs.shape
        return outputs.view(*rows, parameters, self.moved_shape[0], height, width).movedim(-4, -1)


class Channels(_ImagePartition):
    """The first and the second half of an image's channels.

    Parameters
    ----------
    event_shape
        Channels, height and width; the number of channels is even.
    flip
        Keep the second half and move the first.

    Raises
    ------
    UsageError
        If the number of channels is odd.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, figure 3 (right).
    https://arxiv.org/abs/1605.08803

    Examples
    --------
    >>> Channels((4, 8, 8)).kept_shape
    (2, 8, 8)
    """

    def __init__(self, event_shape: Sequence[int], flip: bool = False) -> None:
        self.event_shape = channels, height, width = as_image_shape(event_shape)
        if channels % 2:
            raise UsageError(
                f"{channels} channel{'s' * (channels > 1)} cannot be split into halves",
                fix="use Checkerboard, or squeeze the image first (Squeezed), which makes 4 channels of each",
            )
        self.flip = flip
        self.kept_shape = self.moved_shape = (channels // 2, height, width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return two views of x."""
        first, second = x.chunk(2, -3)
        return (second, first) if self.flip else (first, second)

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Put the halves of the channels together."""
        return torch.cat((moved, kept) if self.flip else (kept, moved), -3)


class Checkerboard(_ImagePartition):
    """The black and the white squares of a checkerboard over the pixels.

    Each part is a dense image of twice the channels and half the height and width: the squares in even rows
    fill the first half of its channels, those in odd rows the second.

    Parameters
    ----------
    event_shape
        Channels, height and width; height and width are even.
    flip
        Keep the white squares and move the black ones. The top left pixel is black.

    Raises
    ------
    UsageError
        If height or width is odd.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, figure 3 (left).
    https://arxiv.org/abs/1605.08803

    Examples
    --------
    >>> import torch
    >>> Checkerboard((1, 2, 2)).split(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))[0].flatten()
    tensor([1., 4.])
    """

    def __init__(self, event_shape: Sequence[int], flip: bool = False) -> None:
        self.event_shape = channels, height, width = check_even(event_shape)
        self.flip = flip
        self.kept_shape = self.moved_shape = (2 * channels, height // 2, width // 2)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Stack strided views of x."""
        black = torch.cat((x[..., 0::2, 0::2], x[..., 1::2, 1::2]), -3)
        white = torch.cat((x[..., 0::2, 1::2], x[..., 1::2, 0::2]), -3)
        return (white, black) if self.flip else (black, white)

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Put every pixel back in its place."""
        black, white = (moved, kept) if self.flip else (kept, moved)
        even, odd = black.chunk(2, -3), white.chunk(2, -3)
        return unsqueeze(torch.cat((even[0], odd[0], odd[1], even[1]), -3))
