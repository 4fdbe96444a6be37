"""Where values can be, as constraints of torch: the domains of maps and the supports of densities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.distributions import constraints

__all__ = ["Inside", "by_feature", "is_real", "leads_to", "over_event", "real_event", "same", "side_by_side"]


def over_event(constraint: Any, event_shape: Sequence[int]) -> Any:
    """Return the constraint that every element of an event has to satisfy.

    Examples
    --------
    >>> over_event(constraints.unit_interval, (3,)).event_dim
    1
    """
    return constraints.independent(constraint, len(event_shape)) if event_shape else constraint


def real_event(event_shape: Sequence[int]) -> Any:
    """Return the constraint of events of real numbers."""
    return over_event(constraints.real, event_shape)


def by_feature(ends: Mapping[int, Sequence[float]], features: int) -> Any:
    """Return the constraint of vectors, some of whose features live on closed intervals.

    Examples
    --------
    >>> import torch
    >>> by_feature({1: (0.0, 1.0)}, 2).check(torch.tensor([[7.0, 0.5], [7.0, 1.5]]))
    tensor([ True, False])
    """
    if not ends:
        return real_event((features,))
    parts = [
        constraints.interval(*ends[each]) if each in ends else constraints.real for each in range(features)
    ]
    return over_event(constraints.cat(parts, dim=-1), (features,))


def side_by_side(parts: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Return the constraint of vectors whose first features satisfy the first constraint, and so on."""
    if all(is_real(part) for part in parts):
        return real_event((sum(sizes),))
    joined = constraints.cat([_element(part) for part in parts], dim=-1, lengths=list(sizes))
    return over_event(joined, (sum(sizes),))


def _element(constraint: Any) -> Any:
    while isinstance(constraint, constraints.independent):
        constraint = constraint.base_constraint
    return constraint


def is_real(constraint: Any) -> bool:
    """Return whether a constraint lets every element be any real number."""
    return _element(constraint) is constraints.real


def same(one: Any, other: Any) -> bool:
    """Return whether two constraints of every element are the same.

    Examples
    --------
    >>> same(constraints.unit_interval, constraints.interval(0.0, 1.0))
    True
    """
    one, other = _element(one), _element(other)
    simple = all(isinstance(value, (int, float)) for value in vars(one).values())
    return type(one) is type(other) and simple and vars(one) == vars(other)


def leads_to(codomain: Any, domain: Any) -> bool:
    """Return whether all that one map returns suits the next; None is a place without a name."""
    if codomain is None or domain is None:
        return False
    return is_real(domain) or same(codomain, domain)


class Inside(constraints.Constraint):
    """Events that a function finds possible, for supports that have no name.

    Parameters
    ----------
    possible
        From rows to booleans, one each.
    event_dim
        The number of trailing dimensions that are one event.
    """

    def __init__(self, possible: Callable[[Tensor], Tensor], event_dim: int) -> None:
        self._possible, self.event_dim = possible, event_dim
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Return which rows are possible."""
        return self._possible(value)
