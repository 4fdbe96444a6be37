"""How a net of one's own is called."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from logpx.errors import UsageError

__all__ = ["called", "takes_context"]


def takes_context(net: nn.Module, context: int) -> bool:
    """Return whether a net is called with a context beside its inputs, as ``net(x, context)``.

    Parameters
    ----------
    net
        The net; one that takes inputs alone, as a `torch.nn.Sequential` does, is called as ``net(x)``.
    context
        The number of context features.

    Raises
    ------
    UsageError
        If there are context features that it cannot take.

    Examples
    --------
    >>> takes_context(nn.Linear(2, 4), 0)
    False
    """
    try:
        inspect.signature(net.forward).bind(None, None)
    except TypeError as error:
        if context:
            raise UsageError(
                f"{type(net).__name__} takes no context, of which the layer has {context} features",
                fix="give a net that is called as net(x, context)",
            ) from error
        return False
    except ValueError:
        # Compiled code has no signature.
        return True
    return True


def called(name: str, net: nn.Module, x: Tensor, *context: Tensor | None) -> Tensor:
    """Return the output of a net, which may be the user's own.

    Parameters
    ----------
    name
        What errors call it.
    net
        The net.
    x, *context
        What it is called with: inputs, and a context if it takes one.

    Raises
    ------
    UsageError
        If the net fails on them, or does not return a tensor.

    Examples
    --------
    >>> called("net", nn.Linear(2, 4), torch.zeros(5, 2)).shape
    torch.Size([5, 4])
    """
    if torch.compiler.is_compiling():
        traced: Tensor = net(x, *context)
        return traced
    try:
        raw = net(x, *context)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        beside = [f", and a context of shape {tuple(one.shape)}" for one in context if one is not None]
        raise UsageError(
            f"the {name} fails on a tensor of shape {tuple(x.shape)}{''.join(beside)}: "
            f"{str(error).splitlines()[0]}",
            fix=f"let its first layer take {x.shape[-1]} numbers per row, and its dtype be that of the data",
        ) from error
    if not isinstance(raw, Tensor):
        raise UsageError(f"the {name} returns a {type(raw).__name__}", fix="return a tensor")
    return raw
