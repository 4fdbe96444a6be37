"""A conditional flow as the noise of dequantisation, trained together with the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.images.dequantisation import Dequantisation
from logpx.nets import ConvolutionalResNet
from logpx.scoring import Noise
from logpx.transforms import Chain, Checkerboard, Coupling, Logit, Sigmoid

__all__ = ["VariationalDequantisation"]


class _ImageConditioner(nn.Module):
    """A convolutional net of one half of a checkerboard and a whole image, which is its context.

    Parameters
    ----------
    event_shape
        Channels, height and width of the image.
    parameters
        Outputs per element of the other half.
    width, blocks
        Of the `logpx.nets.ConvolutionalResNet`.
    """

    def __init__(
        self, event_shape: Sequence[int], parameters: int = 2, width: int = 16, blocks: int = 1
    ) -> None:
        super().__init__()
        self._shape = tuple(event_shape)
        channels = self._shape[0]
        # Half a checkerboard has twice the channels at half the size; a whole image four times.
        self.net = ConvolutionalResNet(6 * channels, 2 * channels * parameters, width, blocks)

    def forward(self, kept: Tensor, context: Tensor) -> Tensor:
        """Return the parameters of the other half.

        Parameters
        ----------
        kept
            Shape ``(n, 2C, H/2, W/2)``.
        context
            An image with every pixel in [-1, 1], flattened: shape ``(n, C H W)``.
        """
        channels, height, width = self._shape
        rows = kept.shape[:-3]
        image = context.expand(*rows, -1).reshape(*rows, channels, height // 2, 2, width // 2, 2)
        image = image.movedim((-3, -1), (-4, -3)).flatten(-5, -3)
        outputs: Tensor = self.net(torch.cat([kept, image], -3))
        return outputs


class VariationalDequantisation(Dequantisation):
    r"""A conditional flow q(u given x), trained together with the model to make the bound tight.

    Uniform noise is taken to the real line, through affine couplings on a checkerboard whose nets see the
    image, and back to (0, 1). Untrained couplings are the identity, so that it starts as
    `UniformDequantisation`.

    Parameters
    ----------
    event_shape
        Channels, and an even height and width.
    levels
        The number of levels.
    layers
        The number of couplings.
    width, blocks
        Of their nets.

    Raises
    ------
    UsageError
        If height or width is odd.

    References
    ----------
    Ho et al. 2019, Flow++: Improving Flow-Based Generative Models with Variational Dequantization and
    Architecture Design, equation 12.
    https://arxiv.org/abs/1902.00275

    Examples
    --------
    >>> from logpx.images import UniformDequantisation
    >>> variational = VariationalDequantisation((1, 4, 4), levels=256)
    >>> x = torch.zeros(2, 1, 4, 4)
    >>> torch.allclose(variational.noise(x, Noise(0))[0], UniformDequantisation().noise(x, Noise(0))[0])
    True
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        levels: int = 256,
        layers: int = 4,
        width: int = 16,
        *,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        shape = tuple(event_shape)
        size = shape[0] * shape[1] * shape[2]
        couplings = [
            Coupling(
                partition=Checkerboard(shape, flip=bool(index % 2)),
                net=_ImageConditioner(shape, 2, width, blocks),
                context=size,
            )
            for index in range(layers)
        ]
        self._levels = levels
        self.transform = Chain([Logit(shape), *couplings, Sigmoid(shape)])

    def noise(self, x: Tensor, source: Noise) -> tuple[Tensor, Tensor]:
        """Draw uniforms, and shape them by the image."""
        context = (x * (2.0 / (self._levels - 1)) - 1.0).flatten(1)
        u, ladj = self.transform.forward(source.uniform(len(x), tuple(x.shape[1:]), x), context)
        return u, -ladj
