"""What a conditioner sees of features that are angles: their cosine and sine."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.arguments import check_count, check_instance, check_number, check_places
from logpx.configuration import Configured

__all__ = ["CircularEmbedding", "Embedded"]


class CircularEmbedding(Configured, nn.Module):
    """The features of a vector, with every angle replaced by its cosine and sine.

    Parameters
    ----------
    features
        The number of features.
    circular
        Which of them are angles.
    period
        The length of the circle.

    Attributes
    ----------
    owners : list of int
        The feature that each output belongs to, in ascending order.

    Raises
    ------
    UsageError
        If `circular` names anything but features, or the period is not positive and finite.

    Examples
    --------
    >>> embedding = CircularEmbedding(2, circular=(0,))
    >>> embedding(torch.tensor([0.0, 5.0]))
    tensor([1., 0., 5.])
    >>> embedding.owners
    [0, 0, 1]
    """

    def __init__(self, features: int, circular: Sequence[int], period: float = 2.0 * math.pi) -> None:
        super().__init__()
        check_count("features", features)
        check_places("circular", circular, features)
        check_number("period", period, above=0.0)
        self.circular = frozenset(circular)
        self.turns = 2.0 * math.pi / period
        self.owners = [
            feature for feature in range(features) for _ in range(2 if feature in self.circular else 1)
        ]

    def of_feature(self, feature: int, x: Tensor) -> Tensor:
        """Return the embedding of one feature: shape ``(*x.shape, 1)``, or ``(*x.shape, 2)`` for an angle."""
        if feature not in self.circular:
            return x.unsqueeze(-1)
        angle = x * self.turns
        return torch.stack([torch.cos(angle), torch.sin(angle)], -1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding of rows of shape ``(*rows, features)``: shape ``(*rows, len(owners))``."""
        return torch.cat([self.of_feature(i, feature) for i, feature in enumerate(x.unbind(-1))], -1)


class Embedded(Configured, nn.Module):
    """A conditioner that sees its input through an embedding.

    Parameters
    ----------
    embedding
        The embedding.
    net
        The net, for as many inputs as the embedding has outputs; called as ``net(inputs, context)``.

    Examples
    --------
    >>> from logpx.nets import MLP
    >>> net = Embedded(CircularEmbedding(2, circular=(0,)), MLP(3, 5, hidden=(8,)))
    >>> net(torch.ones(4, 2)).shape
    torch.Size([4, 5])
    """

    def __init__(self, embedding: CircularEmbedding, net: nn.Module) -> None:
        super().__init__()
        check_instance("embedding", embedding, CircularEmbedding, "CircularEmbedding(3, circular=(0,))")
        check_instance("net", net, nn.Module, "MLP(4, 2)")
        self.embedding = embedding
        self.net = net

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the output of the net for the embedded rows."""
        y: Tensor = self.net(self.embedding(x), context)
        return y
