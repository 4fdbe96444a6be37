"""MAF and IAF: affine autoregressive layers, each fast in one direction."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from logpx.distributions import Flow, StandardNormal
from logpx.flows.contexts import context_size
from logpx.flows.layers import OneFunction, autoregressive_layers, standardized, warn_if_gaussian
from logpx.transforms import AffineFunction, Inverse

__all__ = ["IAF", "MAF"]


class MAF(Flow):
    """Masked autoregressive flow: log_prob costs one pass, sampling goes feature by feature.

    Parameters
    ----------
    features
        The number of features.
    layers
        The number of autoregressive layers; the order of the features is reversed between them.
    hidden
        Widths of the hidden layers of every masked net.
    context
        The number of context features; 0 means unconditional.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.

    References
    ----------
    Papamakarios, Pavlakou and Murray 2017, Masked Autoregressive Flow for Density Estimation.
    https://arxiv.org/abs/1705.07057

    Examples
    --------
    >>> import torch
    >>> MAF(features=3, context=2).log_prob(torch.zeros(5, 3), context=torch.ones(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        features: int,
        layers: int = 5,
        hidden: Sequence[int] = (64, 64),
        context: int | Sequence[int] = 0,
        *,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        stack, _ = autoregressive_layers(features, layers, OneFunction(AffineFunction()), hidden, size)
        warn_if_gaussian("MAF", features)
        super().__init__(StandardNormal(features), standardized(features, stack), embedding, context)


class IAF(Flow):
    """Inverse autoregressive flow: sampling costs one pass, log_prob of given rows goes feature by feature.

    Parameters
    ----------
    features
        The number of features.
    layers
        The number of autoregressive layers; the order of the features is reversed between them.
    hidden
        Widths of the hidden layers of every masked net.
    context
        The number of context features; 0 means unconditional.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
        `context` is then the shape of one context, such as ``(1, 28, 28)`` for an image.

    References
    ----------
    Kingma et al. 2016, Improved Variational Inference with Inverse Autoregressive Flow.
    https://arxiv.org/abs/1606.04934

    Examples
    --------
    >>> x, log_prob = IAF(features=3).sample_with_log_prob(5, seed=0)
    >>> x.shape, log_prob.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        features: int,
        layers: int = 5,
        hidden: Sequence[int] = (64, 64),
        context: int | Sequence[int] = 0,
        *,
        embedding: nn.Module | None = None,
    ) -> None:
        size = context_size(context, embedding)
        stack, _ = autoregressive_layers(
            features, layers, OneFunction(AffineFunction()), hidden, size, turn=Inverse
        )
        warn_if_gaussian("IAF", features)
        super().__init__(StandardNormal(features), standardized(features, stack), embedding, context)
