"""RealNVP: affine coupling layers."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.distributions import Flow, StandardNormal
from logpx.flows.layers import coupling_layers, standardized, warn_if_gaussian
from logpx.transforms import AffineFunction

__all__ = ["RealNVP"]


class RealNVP(Flow):
    """Affine coupling layers: log_prob and sampling cost one pass each.

    Parameters
    ----------
    features
        The number of features, at least 2 (or 1 with a context).
    layers
        The number of coupling layers.
    hidden
        Widths of the hidden layers of every conditioner.
    context
        The number of context features; 0 means unconditional.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP.

    Examples
    --------
    >>> import torch
    >>> flow = RealNVP(features=2, layers=6, hidden=(64, 64))
    >>> flow.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self, features: int, layers: int = 6, hidden: Sequence[int] = (64, 64), context: int = 0
    ) -> None:
        stack = coupling_layers(features, layers, AffineFunction(), hidden, context)
        warn_if_gaussian("RealNVP", features)
        super().__init__(StandardNormal(features), standardized(features, stack))
