"""A convolutional network from a series to numbers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.nets.autoencoding import ConvolutionalEncoder

__all__ = ["SeriesEncoder"]


class SeriesEncoder(Configured, nn.Module):
    """From a series to numbers: a `ConvolutionalEncoder` along time, which is halved once per hidden width.

    Parameters
    ----------
    event_shape
        The number of steps and of channels of a series.
    out_features
        The number of outputs.
    hidden
        Channels after each halving of the time.
    activation
        One of `logpx.nets.ACTIVATIONS`.

    Raises
    ------
    UsageError
        If an argument is invalid, or a series has another shape.

    Examples
    --------
    >>> import torch
    >>> SeriesEncoder((50, 2), 4, hidden=(8, 8))(torch.ones(5, 50, 2)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        out_features: int,
        hidden: Sequence[int] = (32, 64),
        *,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if not isinstance(event_shape, Sequence) or len(event_shape) != 2:
            raise UsageError(
                f"an event shape of {event_shape}, where the shape of a series was expected",
                fix="give (steps, channels)",
            )
        steps, channels = event_shape
        self.event_shape = (steps, channels)
        self.encoder = ConvolutionalEncoder((channels, steps, 1), out_features, hidden, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape ``(*rows, out_features)``, of rows of series."""
        if tuple(x.shape[-2:]) != self.event_shape:
            raise UsageError(
                f"a tensor of shape {tuple(x.shape)} given to a net for series of shape {self.event_shape}",
                fix="give shape (*rows, steps, channels)",
            )
        found: Tensor = self.encoder(x.mT.unsqueeze(-1))
        return found
