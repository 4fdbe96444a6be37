"""How the named flows are put together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

from logpx.arguments import check_count
from logpx.transforms import (
    Autoregressive,
    Chain,
    Coupling,
    Inverse,
    Permutation,
    Reverse,
    ReversibleChain,
    Standardize,
    Transform,
    Univariate,
)
from logpx.transforms.base import as_features

__all__ = [
    "autoregressive_layers",
    "chain_of",
    "check_layers",
    "coupling_layers",
    "inverse_autoregressive",
    "standardized",
    "warn_if_gaussian",
]


def check_layers(layers: int) -> None:
    """Refuse a number of layers that is not a positive whole number."""
    check_count("layers", layers)


def chain_of(layers: Sequence[Transform], recompute: bool = False) -> Chain:
    """Put layers together, with or without keeping their activations for the backward pass."""
    return ReversibleChain(layers) if recompute else Chain(layers)


def standardized(features: int, layers: Iterable[Transform], recompute: bool = False) -> Chain:
    """Put a `Standardize` before the layers, so that they see data of zero mean and unit scale."""
    return chain_of([Standardize(features), *layers], recompute)


def coupling_layers(
    features: int, layers: int, univariate: Univariate, hidden: Sequence[int], context: int
) -> list[Transform]:
    """Return coupling layers that take turns in which part they map, with a reordering after each pair."""
    check_layers(layers)
    features = as_features(features)
    stack: list[Transform] = []
    for index in range(layers):
        if index and index % 2 == 0 and features > 2:
            stack.append(Permutation(features, seed=index))
        flip = index % 2 == 1 and features > 1
        stack.append(Coupling(features, univariate, hidden, context, flip=flip))
    return stack


def autoregressive_layers(
    features: int,
    layers: int,
    univariate: Univariate,
    hidden: Sequence[int],
    context: int,
    turn: Callable[[Transform], Transform] = lambda layer: layer,
) -> list[Transform]:
    """Return autoregressive layers with the order of the features reversed in between."""
    check_layers(layers)
    features = as_features(features)
    stack: list[Transform] = []
    for index in range(layers):
        if index:
            stack.append(Reverse(features))
        stack.append(turn(Autoregressive(features, univariate, hidden, context)))
    return stack


def inverse_autoregressive(layer: Transform) -> Transform:
    """Turn a layer around, so that sampling is the cheap direction."""
    return Inverse(layer)


def warn_if_gaussian(name: str, features: int) -> None:
    """Say that an affine flow of one feature can only be a normal distribution."""
    if features == 1:
        warnings.warn(
            f"{name} with features=1 is a normal distribution: its maps are affine. "
            "Use NSF(features=1, autoregressive=True) or a mixture for other shapes.",
            UserWarning,
            # The caller of the flow's constructor, beyond the wrapper that records its arguments.
            stacklevel=4,
        )
