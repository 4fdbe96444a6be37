"""Neural spline flows: rational-quadratic splines in coupling or autoregressive layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.distributions import Flow
from logpx.errors import DataError, UsageError
from logpx.flows.contexts import context_size
from logpx.flows.domains import Domains
from logpx.flows.layers import autoregressive_layers, chain_of, coupling_layers
from logpx.transforms.base import as_features
from logpx.transforms.supports import by_feature

__all__ = ["NSF"]


class NSF(Flow):
    """Neural spline flow, with rational-quadratic splines.

    Features are real numbers unless declared to be angles or to live on an interval.

    Parameters
    ----------
    features
        The number of features.
    autoregressive
        Autoregressive layers (more expressive, but sampled feature by feature) instead of coupling layers.
    layers
        The number of layers.
    bins
        The number of spline bins.
    hidden
        Widths of the hidden layers of every conditioner.
    context
        The number of context features; 0 means unconditional.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.
    bound
        Splines act on [-bound, bound] of the standardized data; outside, layers are the identity.
    circular
        The features that are angles: their density is continuous around the circle, samples lie in
        [-period / 2, period / 2), and values a period apart mean the same.
    period
        The length of the circle: 2π for radians, 360 for degrees, 24 for hours.
    bounded
        The ends (lower, upper) of each feature that lives on an interval, by its number. A row outside has
        log-density minus infinity.
    affine
        Shift and scale before each spline, except for angles and features on an interval: for strongly
        dependent features, such as pixels, training progresses twice as fast.
    recompute
        For coupling layers, recompute activations in the backward pass instead of keeping them, so that
        memory does not grow with the number of layers; see `logpx.transforms.ReversibleChain`.

    Raises
    ------
    UsageError
        If a number makes no sense, a feature is given two domains, or `recompute` is set for autoregressive
        layers.

    References
    ----------
    Durkan et al. 2019, Neural Spline Flows; Rezende et al. 2020, Normalizing Flows on Tori and Spheres.
    https://arxiv.org/abs/1906.04032
    https://arxiv.org/abs/2002.02428

    Examples
    --------
    >>> import torch
    >>> NSF(features=2, autoregressive=True).log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    >>> flow = NSF(features=3, circular=(0,), bounded={2: (0.0, 1.0)})
    >>> x = torch.tensor([[1.0, 0.3, 0.5], [1.0 + 2.0 * torch.pi, 0.3, 0.5], [1.0, 0.3, 1.5]])
    >>> flow.log_prob(x).detach()
    tensor([-2.8018, -2.8018,    -inf])
    """

    def __init__(
        self,
        features: int,
        autoregressive: bool = False,
        layers: int = 4,
        bins: int = 8,
        *,
        hidden: Sequence[int] = (64, 64),
        context: int | Sequence[int] = 0,
        bound: float = 5.0,
        circular: Sequence[int] = (),
        period: float = 2.0 * math.pi,
        bounded: Mapping[int, Sequence[float]] | None = None,
        affine: bool = False,
        recompute: bool = False,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        features = as_features(features)
        if recompute and autoregressive:
            raise UsageError(
                "activations of autoregressive layers are not recomputed: their inverse takes many times as "
                "long as they do",
                fix="leave recompute out, or use coupling layers (autoregressive=False)",
            )
        if bounded is not None:
            check_instance("bounded", bounded, Mapping, "{0: (0.0, 1.0)}")
        domains = Domains(
            features, bins, bound, circular, period=period, bounded=bounded or {}, affine=affine
        )
        build = autoregressive_layers if autoregressive else coupling_layers
        stack, order = build(features, layers, domains, hidden, size)
        super().__init__(
            domains.base(order), chain_of([*domains.front(), *stack], recompute), embedding, context
        )
        self.bounded: dict[int, tuple[float, float]] = {
            int(feature): (ends[0], ends[1]) for feature, ends in (bounded or {}).items()
        }
        self._circle = dict.fromkeys(map(int, circular), (-0.5 * period, 0.5 * period))

    def support(self, context: Tensor | None = None) -> Any:
        """Return the intervals of bounded features and one period of angles, as a constraint of torch."""
        return by_feature(self.bounded | self._circle, self.event_shape[0])

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the data-dependent statistics from training rows, once.

        Raises
        ------
        DataError
            If a value lies outside the interval of its feature.
        """
        for feature, (lower, upper) in self.bounded.items():
            values = x[..., feature]
            if ((values < lower) | (values > upper)).any():
                raise DataError(
                    f"values from {values.min():g} to {values.max():g}, outside the bounds "
                    f"[{lower:g}, {upper:g}] of the feature",
                    column=feature,
                    fix="widen the bounds, or leave such rows out",
                )
        super().initialise(x, context)
