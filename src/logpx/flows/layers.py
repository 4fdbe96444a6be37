"""How the named flows are built."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import torch

from logpx.arguments import check_count
from logpx.nets import MADE, MLP, CircularEmbedding, Embedded
from logpx.transforms import (
    Autoregressive,
    Chain,
    Coupling,
    Halves,
    Permutation,
    Reverse,
    ReversibleChain,
    Standardize,
    Transform,
    Univariate,
)
from logpx.transforms.base import as_features
from logpx.transforms.permutation import drawn_order

__all__ = [
    "Functions",
    "OneFunction",
    "autoregressive_layers",
    "chain_of",
    "check_layers",
    "coupling_layers",
    "standardized",
    "warn_if_gaussian",
]


def check_layers(layers: int) -> None:
    """Refuse a number of layers that is not a positive whole number."""
    check_count("layers", layers)


def chain_of(layers: Sequence[Transform], recompute: bool = False) -> Chain:
    """Chain layers, either keeping or recomputing their activations for the backward pass."""
    return ReversibleChain(layers) if recompute else Chain(layers)


def standardized(features: int, layers: Iterable[Transform], recompute: bool = False) -> Chain:
    """Put a `Standardize` before the layers, so that they see data of zero mean and unit scale."""
    return chain_of([Standardize(features), *layers], recompute)


class Functions:
    """The function that maps each feature, and what conditioners see of it.

    Layers reorder the features, so every method takes an order: the numbers of the features as they stand
    before a layer.
    """

    def univariate(self, order: Sequence[int]) -> Univariate:
        """Return the function of the features in the given order."""
        raise NotImplementedError

    def embedding(self, order: Sequence[int]) -> CircularEmbedding | None:
        """Return what conditioners see of features in the given order; None means their values."""
        return None


class OneFunction(Functions):
    """The same function for all features, which are real numbers."""

    def __init__(self, univariate: Univariate) -> None:
        self._univariate = univariate

    def univariate(self, order: Sequence[int]) -> Univariate:
        """Return the function."""
        return self._univariate


def coupling_layers(
    features: int, layers: int, functions: Functions, hidden: Sequence[int], context: int
) -> tuple[list[Transform], list[int]]:
    """Return coupling layers that map the two parts in turn, with a reordering after each pair.

    Returns
    -------
    list of Transform
        The layers.
    list of int
        The numbers of the features in the order in which they leave the layers.
    """
    check_layers(layers)
    order = list(range(as_features(features)))
    stack: list[Transform] = []
    for index in range(layers):
        if index and index % 2 == 0 and len(order) > 2:
            drawn = drawn_order(len(order), seed=index)
            order = [order[place] for place in drawn]
            stack.append(Permutation(len(order), drawn))
        partition = Halves(len(order), flip=index % 2 == 1 and len(order) > 1)
        stack.append(_coupling(functions, order, partition, hidden, context))
    return stack, order


def _coupling(
    functions: Functions, order: Sequence[int], partition: Halves, hidden: Sequence[int], context: int
) -> Coupling:
    kept, mapped = (part.tolist() for part in partition.split(torch.tensor(order, device="cpu")))
    univariate, embedding = functions.univariate(mapped), functions.embedding(kept)
    net = None
    if embedding is not None:
        outputs = len(mapped) * univariate.parameters
        net = Embedded(embedding, MLP(len(embedding.owners), outputs, hidden, context))
    return Coupling(None, univariate, hidden, context, net=net, partition=partition)


def autoregressive_layers(
    features: int,
    layers: int,
    functions: Functions,
    hidden: Sequence[int],
    context: int,
    turn: Callable[[Transform], Transform] = lambda layer: layer,
) -> tuple[list[Transform], list[int]]:
    """Return autoregressive layers with the order of the features reversed in between.

    Parameters
    ----------
    turn
        Applied to each layer.

    Returns
    -------
    list of Transform
        The layers.
    list of int
        The numbers of the features in the order in which they leave the layers.
    """
    check_layers(layers)
    order = list(range(as_features(features)))
    stack: list[Transform] = []
    for index in range(layers):
        if index:
            order.reverse()
            stack.append(Reverse(len(order)))
        univariate, embedding = functions.univariate(order), functions.embedding(order)
        net = None
        if embedding is not None:
            net = MADE(len(order), univariate.parameters, hidden, context, embedding=embedding)
        stack.append(turn(Autoregressive(len(order), univariate, hidden, context, net=net)))
    return stack, order


def warn_if_gaussian(name: str, features: int) -> None:
    """Warn that an affine flow of one feature can only be a normal distribution."""
    if features == 1:
        warnings.warn(
            f"{name} with features=1 is a normal distribution: its maps are affine. "
            "Use NSF(features=1, autoregressive=True) or a mixture for other shapes.",
            UserWarning,
            # The caller of the flow's constructor, beyond the wrapper that records its arguments.
            stacklevel=4,
        )
