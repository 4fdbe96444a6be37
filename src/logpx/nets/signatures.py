"""What a net of one's own is called with."""

from __future__ import annotations

import inspect

from torch import nn

from logpx.errors import UsageError

__all__ = ["takes_context"]


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
