"""How spline flows are put together: their layers know which feature is where."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.flows.domains import Domains
from logpx.nets import MADE, MLP, Embedded
from logpx.transforms import Autoregressive, Coupling, Permutation, Reverse, Transform
from logpx.transforms.permutation import drawn_order

__all__ = ["autoregressive_spline_layers", "coupling_spline_layers"]


def coupling_spline_layers(
    domains: Domains, order: list[int], layers: int, hidden: Sequence[int], context: int
) -> list[Transform]:
    """Return coupling layers that take turns in which part they map, with a reordering after each pair.

    `order` is changed to the order in which the features leave the layers.
    """
    stack: list[Transform] = []
    for index in range(layers):
        if index and index % 2 == 0 and len(order) > 2:
            drawn = drawn_order(len(order), seed=index)
            order[:] = [order[place] for place in drawn]
            stack.append(Permutation(len(order), drawn))
        stack.append(_coupling(domains, order, hidden, context, flip=index % 2 == 1 and len(order) > 1))
    return stack


def _coupling(
    domains: Domains, order: list[int], hidden: Sequence[int], context: int, flip: bool
) -> Coupling:
    split = (len(order) + 1) // 2 if flip else len(order) // 2
    kept, mapped = (order[split:], order[:split]) if flip else (order[:split], order[split:])
    univariate, embedding = domains.univariate(mapped), domains.embedding(kept)
    net = None
    if embedding is not None:
        outputs = len(mapped) * univariate.parameters
        net = Embedded(embedding, MLP(len(embedding.owners), outputs, hidden, context))
    return Coupling(len(order), univariate, hidden, context, flip, net)


def autoregressive_spline_layers(
    domains: Domains, order: list[int], layers: int, hidden: Sequence[int], context: int
) -> list[Transform]:
    """Return autoregressive layers with the order of the features reversed in between.

    `order` is changed to the order in which the features leave the layers.
    """
    stack: list[Transform] = []
    for index in range(layers):
        if index:
            order.reverse()
            stack.append(Reverse(len(order)))
        univariate, embedding = domains.univariate(order), domains.embedding(order)
        net = MADE(len(order), univariate.parameters, hidden, context, embedding=embedding)
        stack.append(Autoregressive(len(order), univariate, hidden, context, net=net))
    return stack
