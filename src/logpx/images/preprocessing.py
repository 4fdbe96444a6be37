"""From levels to the units of a model, with the log abs(det) of the change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.arguments import is_whole
from logpx.errors import DataError, UsageError
from logpx.transforms import Logit, Transform

__all__ = ["IdentityPixels", "LinearPixels", "LogitPixels", "check_levels", "checked_levels"]


def check_levels(x: Tensor, levels: int, first: int = 0) -> None:
    """Refuse images with a pixel that is no whole level.

    Parameters
    ----------
    x
        Shape ``(n, C, H, W)``.
    levels
        The number of levels.
    first
        The number of images before these.

    Raises
    ------
    DataError
        Naming the first such image, counted from 1.
    """
    # Of NaN, too.
    wrong = ~((x >= 0) & (x < levels) & (x == x.floor()))
    if bool(wrong.any()):
        place = tuple(wrong.nonzero()[0].tolist())
        raise DataError(
            f"the pixel value {x[place].item():g}, where a whole level of 0..{levels - 1} was expected",
            row=first + place[0] + 1,
            fix="give pixels as whole levels, as in the images that the model was fitted to",
        )


def checked_levels(levels: int) -> int:
    """Return a number of levels as an int, if it is one that pixels of 16 bits can have.

    Raises
    ------
    UsageError
        If it is not a whole number from 2 to 65,536.

    Examples
    --------
    >>> checked_levels(16)
    16
    """
    if not is_whole(levels) or not 2 <= levels <= 65_536:
        raise UsageError(f"{levels!r} levels", fix="give a whole number from 2 to 65,536")
    return int(levels)


class IdentityPixels(Transform):
    """Levels as they are, for a distribution of whole levels.

    Parameters
    ----------
    event_shape
        Channels, height and width.
    levels
        The number of levels.

    Examples
    --------
    >>> IdentityPixels((1, 1, 1), 256).forward(torch.full((1, 1, 1, 1), 192.0))
    (tensor([[[[192.]]]]), tensor([0.]))
    """

    def __init__(self, event_shape: Sequence[int], levels: int = 256) -> None:
        super().__init__(event_shape)
        self.levels = checked_levels(levels)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return levels as they are."""
        return x, x.new_zeros(x.shape[: x.dim() - len(self.event_shape)])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return levels as they are."""
        return self.forward(z)


class LinearPixels(Transform):
    r"""Levels on [0, L) to [-1, 1): :math:`z = 2 y / L - 1`.

    Parameters
    ----------
    event_shape
        Channels, height and width.
    levels
        The number of levels L.

    Examples
    --------
    >>> LinearPixels((1, 1, 1), 256).forward(torch.full((1, 1, 1, 1), 192.0))
    (tensor([[[[0.5000]]]]), tensor([-4.8520]))
    """

    def __init__(self, event_shape: Sequence[int], levels: int = 256) -> None:
        super().__init__(event_shape)
        self.levels = checked_levels(levels)
        self._ladj = math.prod(self.event_shape) * math.log(2.0 / self.levels)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale levels down."""
        return x * (2.0 / self.levels) - 1.0, self._constant(x, self._ladj)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale back to levels."""
        return (z + 1.0) * (self.levels / 2.0), self._constant(z, -self._ladj)

    def _constant(self, x: Tensor, value: float) -> Tensor:
        return torch.full(x.shape[: x.dim() - len(self.event_shape)], value, dtype=x.dtype, device=x.device)


class LogitPixels(Transform):
    r"""Levels on [0, L) to the real line: the logit of :math:`\alpha + (1 - 2\alpha)\, y / L`.

    Every z is the image of some y on a range slightly wider than [0, L); what a model puts on the margins is
    lost to it, and is the price of :math:`\alpha`.

    Parameters
    ----------
    event_shape
        Channels, height and width.
    levels
        The number of levels L.
    alpha
        The margin, from 0 up to, not including, 1/2.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, section 4.1 (alpha = 0.05);
    Papamakarios, Pavlakou and Murray 2017, Masked Autoregressive Flow, section 4.3 (1e-6 for MNIST).
    https://arxiv.org/abs/1605.08803
    https://arxiv.org/abs/1705.07057

    Examples
    --------
    >>> z, ladj = LogitPixels((1, 1, 1), 256).forward(torch.full((1, 1, 1, 1), 128.0))
    >>> z.item()
    0.0
    """

    def __init__(self, event_shape: Sequence[int], levels: int = 256, alpha: float = 0.05) -> None:
        super().__init__(event_shape)
        if not 0.0 <= alpha < 0.5:
            raise UsageError(f"alpha is {alpha}", fix="give a number from 0 up to, not including, 0.5")
        self.alpha = alpha
        self.levels = checked_levels(levels)
        self._scale = (1.0 - 2.0 * alpha) / levels
        self._ladj = math.prod(self.event_shape) * math.log(self._scale)
        self._logit = Logit(self.event_shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Take levels to the real line."""
        z, ladj = self._logit.forward(x * self._scale + self.alpha)
        return z, ladj + self._ladj

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Take the real line to levels, from a little below 0 to a little above L."""
        unit, ladj = self._logit.inverse(z)
        return (unit - self.alpha) / self._scale, ladj - self._ladj
