"""Mint layers: masked convolutions whose Jacobian is triangular, inverted by iteration."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.nets.layers import check_widths
from logpx.nets.masked_convolution import MaskedConvolution
from logpx.transforms.base import Transform, checks_event
from logpx.transforms.compilation import never_compiled
from logpx.transforms.fixed_point import Certificate, solve
from logpx.transforms.implicit import differentiable_inverse
from logpx.transforms.newton import GuardedNewton

__all__ = ["MintLayer"]


class MintLayer(Transform):
    r"""Scaling plus three masked convolutions, with a triangular Jacobian.

    .. math:: z = t x + W_3 \tanh(W_2 \tanh(W_1 x + b_1) + b_2) + b_3, \qquad t > 0

    Pixels are ordered as they are read, and channels within a pixel; a vector is an image of one pixel with
    a channel per feature. Every output sees the inputs up to its own within reach of the kernels, and its own
    only through nonnegative weights, so the Jacobian is triangular with a diagonal of at least t > 0,
    computed along that path alone. The convolutions add a bounded value to the scaling.

    `forward` costs one evaluation. `inverse` is an iteration that ends with a residual at rounding level, and
    can be differentiated once; `solve` returns its certificate.

    Parameters
    ----------
    event_shape
        The number of features of a vector, or (channels, height, width) of an image.
    hidden
        The number of hidden feature maps per channel, or hidden units per feature.
    kernel
        The side of the kernels for images, an odd number.
    context
        The number of context features; they enter the first hidden layer and the output.
    reverse
        Order the features from last to first.

    References
    ----------
    Song, Meng and Ermon 2019, MintNet: Building Invertible Neural Networks with Masked Convolutions,
    equation 4.
    https://arxiv.org/abs/1907.07945

    Examples
    --------
    >>> layer = MintLayer((3, 8, 8))
    >>> x = torch.randn(4, 3, 8, 8)
    >>> z, ladj = layer.forward(x)
    >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-4)
    True
    """

    def __init__(
        self,
        event_shape: int | Sequence[int],
        hidden: int = 16,
        kernel: int = 3,
        context: int = 0,
        *,
        reverse: bool = False,
    ) -> None:
        super().__init__(event_shape, context)
        if len(self.event_shape) not in (1, 3):
            raise UsageError(
                f"a Mint layer with event shape {self.event_shape}",
                fix="give a number of features, such as 3, or (channels, height, width)",
            )
        check_widths([hidden])
        check_count("kernel", kernel)
        vector = len(self.event_shape) == 1
        self.image_shape = (*self.event_shape, 1, 1) if vector else self.event_shape
        channels, kernel = self.image_shape[0], 1 if vector else kernel
        self.hidden, self.reverse = hidden, reverse
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.first = MaskedConvolution(channels, 1, hidden, kernel, context=context, reverse=reverse)
        self.second = MaskedConvolution(channels, hidden, hidden, kernel, reverse=reverse)
        self.third = MaskedConvolution(
            channels, hidden, 1, kernel, context=context, reverse=reverse, scale=0.01
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise with one evaluation of the convolutions."""
        images, context = self._images(x, context)
        z, log_diagonal = self._evaluate(images, context)
        return z.reshape(x.shape), log_diagonal.flatten(1).sum(1).reshape(self._rows(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data by iteration.

        Raises
        ------
        NotConvergedError
            If the residual of a row does not reach rounding level.
        """
        x, ladj, _ = self.solve(z, context)
        return x, ladj

    @checks_event
    def solve(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Certificate]:
        """Return the results of `inverse`, and the certificate of the iteration.

        Raises
        ------
        NotConvergedError
            If the residual of a row does not reach rounding level.
        """
        x, ladj, certificate = self._solve(*self._images(z, context))
        return x.reshape(z.shape), ladj.reshape(self._rows(z)), certificate

    # The number of sweeps depends on the data, which no compiled graph can express.
    @never_compiled
    def _solve(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Certificate]:
        with torch.no_grad():
            reach = self.third.taps().abs().flatten(1).sum(1)[:, None, None].expand(self.image_shape)
            shift = self.third.shift(context)[..., None, None].expand(z.shape)
            scale = self.log_scale.exp()[:, None, None]
            target = self._sequence(z)
            terms = self._sequence(z.abs() + shift.abs() + reach)
            slack = 8.0 * torch.finfo(z.dtype).eps * (z.abs() + shift.abs() + reach)
            lower, upper = ((z - shift + sign * (reach + slack)) / scale for sign in (-1.0, 1.0))

            def equations(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                images = self._images_of(x)
                value, log_diagonal = self._evaluate(images, context)
                residual = self._sequence(value) - target
                diagonal = self._sequence(log_diagonal).exp()
                # At least t |x|; where the layer is steep, rounding x matters more than rounding t x.
                return residual, terms + diagonal * x.abs(), diagonal

            sweep = GuardedNewton(equations, self._sequence(lower), self._sequence(upper))
            start = torch.maximum(torch.minimum(target, sweep.upper), sweep.lower)
            x, certificate = solve(sweep, start, event_dims=1, limit=2 * target.shape[1] + 100)
        evaluate = lambda x: self._evaluate(x, context)  # noqa: E731
        sources = (context, *self.parameters())
        return *differentiable_inverse(evaluate, self._images_of(x), z, sources, event_dims=3), certificate

    def _evaluate(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the value and the logarithm of the Jacobian's diagonal, both of the shape of x."""
        first = torch.tanh(self.first(x, context))
        second = torch.tanh(self.second(first))
        scale = self.log_scale.exp()[:, None, None]
        z = scale * x + self.third(second, context)
        groups = (len(x), self.hidden, *self.image_shape)
        slopes = (1.0 - first * first).view(groups) * self.first.diagonal_taps()[..., None, None].squeeze(1)
        slopes = torch.einsum("ijc,njchw->nichw", self.second.diagonal_taps(), slopes)
        slopes = slopes * (1.0 - second * second).view(groups)
        through = torch.einsum("ic,nichw->nchw", self.third.diagonal_taps().squeeze(0), slopes)
        return z, torch.log(scale + through)

    def _rows(self, x: Tensor) -> torch.Size:
        return x.shape[: x.dim() - len(self.event_shape)]

    def _images(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Bring rows of any leading shape, and their contexts, into one batch."""
        rows = self._rows(x)
        images = x.reshape(rows.numel(), *self.image_shape)
        if context is not None and context.dim() > 1:
            context = context.expand(*rows, -1).reshape(rows.numel(), context.shape[-1])
        return images, context

    def _sequence(self, images: Tensor) -> Tensor:
        """Lay the features of every image out in their order."""
        sequence = images.expand(-1, *self.image_shape).permute(0, 2, 3, 1).flatten(1)
        return sequence.flip(1) if self.reverse else sequence

    def _images_of(self, sequence: Tensor) -> Tensor:
        """Undo `_sequence`."""
        channels, height, width = self.image_shape
        sequence = sequence.flip(1) if self.reverse else sequence
        return sequence.view(-1, height, width, channels).permute(0, 3, 1, 2)
