"""Coupling layers: one part of the features conditions the map of the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.errors import UsageError
from logpx.nets.mlp import MLP
from logpx.transforms.base import Transform, check_event
from logpx.transforms.univariate import AffineFunction, Univariate

__all__ = ["Coupling"]


class Coupling(Transform):
    r"""Split x in two parts; keep one, and map the other by a function that depends on the kept part.

    With the first part kept, :math:`z_a = x_a` and :math:`z_b = f(x_b; \theta(x_a, c))`. The Jacobian is
    triangular, and both directions cost one evaluation of the net.

    Parameters
    ----------
    features
        The number of features.
    univariate
        The function applied to every mapped feature; affine by default.
    hidden
        Widths of the hidden layers of the default net.
    context
        The number of context features.
    flip
        Keep the second part and map the first.
    net
        Your own conditioner in place of the default `logpx.nets.MLP`: called as ``net(kept, context)``, it
        returns ``mapped features × univariate.parameters`` numbers per row.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, equations 4 to 8.

    Examples
    --------
    >>> import torch
    >>> coupling = Coupling(3, hidden=(8,))
    >>> z, ladj = coupling.forward(torch.ones(4, 3))
    >>> z.shape, ladj.shape
    (torch.Size([4, 3]), torch.Size([4]))
    """

    def __init__(
        self,
        features: int,
        univariate: Univariate | None = None,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        flip: bool = False,
        net: nn.Module | None = None,
    ) -> None:
        super().__init__(features, context)
        if features < 2 and not context:
            raise UsageError(
                "a coupling layer needs two features, or one feature and a context",
                fix="for one column use an autoregressive flow (NSF with autoregressive=True) or a mixture",
            )
        self.univariate = univariate or AffineFunction()
        self.flip = flip
        self.split = (features + 1) // 2 if flip else features // 2
        mapped = self.split if flip else features - self.split
        if net is None:
            net = MLP(features - mapped, mapped * self.univariate.parameters, hidden, context)
        self.net = net

    def _map(self, x: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        check_event(x, self.event_shape)
        first, second = x[..., : self.split], x[..., self.split :]
        kept, moved = (second, first) if self.flip else (first, second)
        params = self.net(kept, context).unflatten(-1, (moved.shape[-1], self.univariate.parameters))
        moved, ladj = self.univariate(moved, params, inverse)
        parts = (moved, kept) if self.flip else (kept, moved)
        return torch.cat(parts, -1), ladj.sum(-1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise with one evaluation of the net."""
        return self._map(x, context, inverse=False)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data with one evaluation of the net."""
        return self._map(z, context, inverse=True)
