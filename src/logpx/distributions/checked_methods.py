"""What surrounds the methods of every distribution: rows of any shape, contexts, infinite cells, gradients.

Subclasses write mathematics alone: for rows ``(n, *event_shape)`` of finite cells and for embedded contexts.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from logpx.distributions.gradients import gradients_wanted, only_if_wanted
from logpx.distributions.lower_bound import LowerBound
from logpx.distributions.seeding import checked_count
from logpx.transforms.base import check_context, check_dtype

__all__ = ["WRAPPERS", "methods_of_rows", "of_rows"]

# Of the lowest number of the precision.
_FARTHEST = 1e-8


def _drawn(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method check how many rows it draws and for which context, and draw without gradients.

    With gradients, if they were asked for.
    """

    @functools.wraps(method)
    def drawn(self: Any, n: Any, context: Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        shape = _checked_shape(n)
        check_context(self, context, (int(n),) if shape is None else None)
        with only_if_wanted():
            try:
                context, rows = _embedded(self, context)
                if shape is None:
                    return method(self, int(n), context, *args, **kwargs)
                shape = (*shape, *rows)
                if context is not None:
                    event = context.shape[len(rows) :]
                    context = context.expand(*shape, *event).reshape(-1, *event)
                return _shaped(method(self, math.prod(shape), context, *args, **kwargs), shape)
            except RuntimeError as error:
                if context is not None:
                    check_dtype(self, context, error)
                raise

    return drawn


def _checked_shape(n: Any) -> tuple[int, ...] | None:
    """Return a shape of draws; None for a number of rows."""
    if isinstance(n, Sequence) and not isinstance(n, str):
        return tuple(checked_count(size) for size in n)
    checked_count(n)
    return None


def _shaped(drawn: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(drawn, tuple):
        return tuple(_shaped(part, shape) for part in drawn)
    return drawn.view((*shape, *drawn.shape[1:]))


def methods_of_rows(kind: type[Any]) -> list[str]:
    """Return the public methods that a class itself defines whose first argument is ``x``."""
    found = []
    for name, value in vars(kind).items():
        if not name.startswith("_") and inspect.isfunction(value):
            parameters = list(inspect.signature(value).parameters)
            if parameters[1:2] == ["x"]:
                found.append(name)
    return found


def _flat(self: Any, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, tuple[int, ...]]:
    """Return rows along one dimension, the embedded context of each, and the shape that the rows had."""
    rows = tuple(x.shape[: x.dim() - len(self.event_shape)])
    context, own = _embedded(self, context)
    if len(rows) != 1:
        x = x.reshape(math.prod(rows), *self.event_shape)
        if context is not None and own:
            event = context.shape[len(own) :]
            context = context.expand(*rows, *event).reshape(len(x), *event)
    return x, context, rows


def _embedded(self: Any, context: Tensor | None) -> tuple[Tensor | None, tuple[int, ...]]:
    """Return contexts as the subclass is given them, and the shape of their rows."""
    if context is None:
        return None, ()
    rows = tuple(context.shape[: context.dim() - len(self.context_shape)])
    return self.embed_context(context), rows


def _any_cell(cells: Tensor) -> Tensor:
    """Return whether any cell of each row is true; of rows without cells, or which are numbers, too."""
    return cells.reshape(len(cells), math.prod(cells.shape[1:])).any(1)


def _scored(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let `log_prob` take rows of any shape and infinite cells, and give plain numbers."""

    def score_all(self: Any, x: Tensor, context: Tensor | None, **kwargs: Any) -> Tensor:
        x, context, rows = _flat(self, x, context)

        def score(x: Tensor) -> Tensor:
            return method(self, x, context, **kwargs)

        if self.refuses_values:
            found = score(x)
        elif torch.compiler.is_compiling() or _transformed():
            # No branch that depends on data.
            infinite = x.isinf()
            found = score(x.masked_fill(infinite, 0.0))
            far = found < _FARTHEST * torch.finfo(found.dtype).min
            found = torch.where(far, found.detach(), found).masked_fill(_any_cell(infinite), -math.inf)
        else:
            found = _with_far_rows(score, x)
        return found.view(rows)

    @functools.wraps(method)
    def scored(self: Any, x: Tensor, context: Tensor | None = None, **kwargs: Any) -> Tensor:
        if gradients_wanted() or self.training or x.requires_grad or _transformed():
            return score_all(self, x, context, **kwargs)
        if context is not None and context.requires_grad:
            return score_all(self, x, context, **kwargs)
        with torch.no_grad():
            return score_all(self, x, context, **kwargs)

    return scored


def _transformed() -> bool:
    """Return whether this runs within a function that `torch.func` has transformed.

    Whether tensors of a call outside need gradients cannot be seen there.
    """
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()


def _with_far_rows(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the log-density of rows, of which some may be infinite, or so far out that numbers overflow.

    There the density is 0. Far rows have no gradients, which would overflow: so that they do not spoil those
    of the parameters, another row is scored in their place.
    """
    # A finite sum has only finite terms, and takes a third of the time.
    if not len(x) or math.isfinite(x.detach().sum().item()):
        found, infinite = score(x), None
    else:
        infinite = x.isinf()
        found = score(x.masked_fill(infinite, 0.0))
    value = found.detach()
    least = _FARTHEST * torch.finfo(found.dtype).min
    # Of numbers among which one is missing, so is the smallest.
    if infinite is None and (not len(x) or value.min().item() > least):
        return found
    infinite = x.isinf() if infinite is None else infinite
    near = (value > least) & ~_any_cell(infinite)
    if bool(near.all()):
        return found
    large = x.abs() > math.sqrt(torch.finfo(x.dtype).max) * _FARTHEST
    overflown = value.isnan() & _any_cell(large) & ~_any_cell(x.isnan())
    value = value.masked_fill(_any_cell(infinite) | overflown, -math.inf)
    if not found.requires_grad or not bool(near.any()):
        return torch.where(near, found, value)
    apart = near.view(-1, *[1] * (x.dim() - 1))
    stand_in = x[near.nonzero()[0]].detach()
    return torch.where(near, score(torch.where(apart, x, stand_in)), value)


def _bounded(method: Callable[..., LowerBound]) -> Callable[..., LowerBound]:
    """Let `log_prob_lower` take rows of any shape and infinite cells."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def bounded(*args: Any, **kwargs: Any) -> LowerBound:
        given = signature.bind(*args, **kwargs)
        self, x = args[0], given.arguments["x"]
        x, context, rows = _flat(self, x, given.arguments.get("context"))
        given.arguments["context"] = context
        infinite = _any_cell(x.isinf())
        given.arguments["x"] = x if self.refuses_values else x.masked_fill(x.isinf(), 0.0)
        log_prob, error = method(*given.args, **given.kwargs)
        if not self.refuses_values:
            # A density is 0 at infinity, without an error.
            log_prob, error = log_prob.masked_fill(infinite, -math.inf), error.masked_fill(infinite, 0.0)
        return LowerBound(log_prob.view(rows), error.view(rows))

    return bounded


def of_rows(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that needs rows along one dimension take a single one, and rows of any shape.

    Examples
    --------
    >>> from logpx.distributions import Distribution
    >>> class Counted(Distribution):
    ...     @of_rows
    ...     def count(self, x):
    ...         return len(x)
    >>> Counted(2).count(torch.zeros(2)), Counted(2).count(torch.zeros(3, 5, 2))
    (1, 15)
    """

    @functools.wraps(method)
    def flattened(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return method(self, _flat(self, x, None)[0], *args, **kwargs)

    return flattened


# Checks of the event come before all of these.
WRAPPERS: dict[str, Callable[..., Any]] = {
    "log_prob": _scored,
    "log_prob_lower": _bounded,
    "sample": _drawn,
    "sample_with_log_prob": _drawn,
    "statistics": of_rows,
    "initialise": of_rows,
    "initialise_components": of_rows,
    "match_moments": of_rows,
    "update_from_rows": of_rows,
}
