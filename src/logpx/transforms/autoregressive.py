"""Autoregressive layers: the map of a feature depends on the features before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.nets.made import MADE
from logpx.transforms.base import Transform, check_event
from logpx.transforms.univariate import AffineFunction, Univariate

__all__ = ["Autoregressive"]


class Autoregressive(Transform):
    r"""Masked autoregressive map, :math:`z_i = f(x_i; \theta_i(x_{<i}, c))`.

    `forward` costs one evaluation of the net. `inverse` finds the features in order, and computes each
    hidden unit once.

    Parameters
    ----------
    features
        The number of features.
    univariate
        The function applied to every feature; affine by default.
    hidden
        Widths of the hidden layers of the masked net.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.

    References
    ----------
    Papamakarios, Pavlakou and Murray 2017, Masked Autoregressive Flow for Density Estimation,
    equations 3 to 7.

    Examples
    --------
    >>> import torch
    >>> layer = Autoregressive(3, hidden=(8,))
    >>> z, ladj = layer.forward(torch.ones(4, 3))
    >>> z.shape, ladj.shape
    (torch.Size([4, 3]), torch.Size([4]))
    """

    def __init__(
        self,
        features: int,
        univariate: Univariate | None = None,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__(features, context)
        self.univariate = univariate or AffineFunction()
        self.net = MADE(features, self.univariate.parameters, hidden, context, activation)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise with one evaluation of the net."""
        check_event(x, self.event_shape)
        z, ladj = self.univariate(x, self.net(x, context))
        return z, ladj.sum(-1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data, feature by feature, at about the arithmetic of one evaluation of the net."""
        check_event(z, self.event_shape)
        ladjs: list[Tensor] = []

        def solve(feature: int, params: Tensor) -> Tensor:
            x, ladj = self.univariate(z[..., feature], params, inverse=True)
            ladjs.append(ladj)
            return x

        x, _ = self.net.sequential(solve, z.shape[:-1], context)
        return x, torch.stack(ladjs, -1).sum(-1)
