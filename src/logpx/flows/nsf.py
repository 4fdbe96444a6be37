"""Neural spline flows: rational-quadratic splines in coupling or autoregressive layers."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.distributions import Flow, StandardNormal
from logpx.flows.layers import autoregressive_layers, coupling_layers, standardized
from logpx.transforms import RationalQuadraticFunction

__all__ = ["NSF"]


class NSF(Flow):
    """Neural spline flow, with rational-quadratic splines.

    Parameters
    ----------
    features
        The number of features.
    autoregressive
        Autoregressive layers (more expressive, sampling feature by feature) in place of coupling layers.
    layers
        The number of layers.
    bins
        The number of spline bins.
    hidden
        Widths of the hidden layers of every conditioner.
    context
        The number of context features; 0 means unconditional.
    bound
        Splines act on [-bound, bound] of the standardized data; outside, layers are the identity.

    References
    ----------
    Durkan et al. 2019, Neural Spline Flows.

    Examples
    --------
    >>> import torch
    >>> NSF(features=2, autoregressive=True).log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        features: int,
        autoregressive: bool = False,
        layers: int = 4,
        bins: int = 8,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        bound: float = 5.0,
    ) -> None:
        spline = RationalQuadraticFunction(bins, bound)
        build = autoregressive_layers if autoregressive else coupling_layers
        stack = build(features, layers, spline, hidden, context)
        super().__init__(StandardNormal(features), standardized(features, stack))
