"""Trained scale and shift, initialised from data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.errors import DataError
from logpx.transforms.base import Transform

__all__ = ["ActNorm"]


class ActNorm(Transform):
    r"""Shift and scale each feature, or each channel of an image, with initial values from data.

    .. math:: z = (x - \mu) e^{-\alpha}

    The identity until `initialise` has set μ and α such that the rows it sees get mean 0 and standard
    deviation 1; from then on both are trained like any parameter. The flag for this is in the state dict, so
    a loaded model is never initialised again. A channel that is constant over all rows is only shifted.

    Parameters
    ----------
    event_shape
        The number of features, or a shape whose first size counts the channels, such as
        (channels, height, width).

    References
    ----------
    Kingma and Dhariwal 2018, Glow: generative flow with invertible 1×1 convolutions, section 3.1.
    https://arxiv.org/abs/1807.03039

    Examples
    --------
    >>> act_norm = ActNorm((3, 8, 8))
    >>> x = 5.0 + 2.0 * torch.randn(100, 3, 8, 8)
    >>> act_norm.initialise(x)
    >>> z, _ = act_norm.forward(x)
    >>> torch.allclose(z.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-3)
    True
    """

    initialised: Tensor

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__(event_shape)
        channels = self.event_shape[:1] + (1,) * len(self.event_shape[1:])
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.pixels = torch.Size(self.event_shape[1:]).numel()
        self.register_buffer("initialised", torch.tensor(False))

    @torch.no_grad()
    def _set(self, x: Tensor) -> None:
        rows = x.reshape(-1, *self.event_shape).double()
        if not len(rows):
            raise DataError("no rows to take mean and scale from", fix="give at least one row")
        averaged = [0, *range(2, rows.dim())]
        mean = rows.mean(averaged, keepdim=True)
        scale = (rows - mean).square().mean(averaged, keepdim=True).sqrt()
        if not torch.isfinite(scale).all():
            raise DataError(
                "a value is not finite, or too large to be squared",
                fix="leave such rows out, or change their unit",
            )
        # Rounding of the mean alone gives a constant channel a spread of a few ulps.
        constant = scale <= torch.clamp(1e-14 * mean.abs(), min=torch.finfo(self.log_scale.dtype).tiny)
        self.shift.copy_(mean[0])
        self.log_scale.copy_(scale.masked_fill(constant, 1.0).log()[0])

    @property
    def needs_data(self) -> bool:
        """Whether it is still to be initialised."""
        return not self.initialised

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set shift and scale from the mean and standard deviation (divisor n) of the rows, once.

        Raises
        ------
        DataError
            If there are no rows, or a value is not finite.
        """
        if self.needs_data:
            self._set(x)
            self.initialised.fill_(True)

    def _ladj(self, x: Tensor) -> Tensor:
        return (self.pixels * self.log_scale.sum()).expand(x.shape[: x.dim() - len(self.event_shape)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shift, then scale."""
        return (x - self.shift) * torch.exp(-self.log_scale), -self._ladj(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale back, then shift back."""
        return self.shift + z * torch.exp(self.log_scale), self._ladj(z)
