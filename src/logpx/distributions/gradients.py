"""Whether draws and densities are asked for with gradients."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch

__all__ = ["gradients_wanted", "is_traced", "only_if_wanted", "with_gradients"]

_WANTED: ContextVar[bool] = ContextVar("gradients wanted", default=False)


def gradients_wanted() -> bool:
    """Return whether this is within a call of `with_gradients`, which a compiled graph knows nothing of."""
    return not torch.compiler.is_compiling() and _WANTED.get()


def is_traced() -> bool:
    """Return whether this runs in a compiled graph, or within a function that `torch.func` has transformed.

    What numbers are cannot be looked at there, nor whether tensors of a call outside need gradients.
    """
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def only_if_wanted() -> AbstractContextManager[Any]:
    """Keep no graph, unless gradients are wanted."""
    return nullcontext() if gradients_wanted() else torch.no_grad()


def with_gradients(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call something whose draws and log-densities are to have gradients."""
    token = _WANTED.set(True)
    try:
        return call(*args, **kwargs)
    finally:
        _WANTED.reset(token)
