"""NICE: additive coupling layers and a diagonal scaling."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from logpx.distributions import Flow, StandardNormal
from logpx.flows.contexts import context_size
from logpx.flows.layers import OneFunction, coupling_layers, standardized, warn_if_gaussian
from logpx.transforms import Affine, ShiftFunction

__all__ = ["NICE"]


class NICE(Flow):
    """Additive coupling layers, which preserve volume, followed by a trained scale for each feature.

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
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.
    recompute
        Recompute activations in the backward pass instead of keeping them, so that memory does not grow
        with the number of layers; see `logpx.transforms.ReversibleChain`.

    References
    ----------
    Dinh, Krueger and Bengio 2014, NICE: Non-linear Independent Components Estimation.
    https://arxiv.org/abs/1410.8516

    Examples
    --------
    >>> NICE(features=2).sample(5, seed=0).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        features: int,
        layers: int = 6,
        hidden: Sequence[int] = (64, 64),
        context: int | Sequence[int] = 0,
        *,
        recompute: bool = False,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        stack, _ = coupling_layers(features, layers, OneFunction(ShiftFunction()), hidden, size)
        warn_if_gaussian("NICE", features)
        stack.append(Affine(features))
        super().__init__(
            StandardNormal(features), standardized(features, stack, recompute), embedding, context
        )
