"""Calls of encoder and decoder, which may be anybody's modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from logpx.errors import UsageError

__all__ = ["called"]


def called(name: str, net: nn.Module, x: Tensor, context: Tensor | None) -> Tensor:
    """Return what a net makes of x, and of a context where there is one.

    Raises
    ------
    UsageError
        If the net does not take x, or returns no tensor.
    """
    try:
        raw = net(x) if context is None else net(x, context)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        beside = "" if context is None else f", and a context of shape {tuple(context.shape)}"
        raise UsageError(
            f"the {name} fails on a tensor of shape {tuple(x.shape)}{beside}: {str(error).splitlines()[0]}",
            fix=f"let its first layer take {x.shape[-1]} numbers per row, and its dtype be that of the data",
        ) from error
    if not isinstance(raw, Tensor):
        raise UsageError(f"the {name} returns a {type(raw).__name__}", fix="return a tensor")
    return raw
