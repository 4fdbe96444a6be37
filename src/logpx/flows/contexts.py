"""The size of the contexts that the layers of a flow see, embedded or as they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from logpx.arguments import check_count, check_instance
from logpx.errors import UsageError
from logpx.transforms.base import as_event_shape

__all__ = ["context_size"]


def context_size(context: int | Sequence[int], embedding: nn.Module | None) -> int:
    """Return the number of context features of the layers: what the embedding returns, if there is one.

    Parameters
    ----------
    context
        The number of context features, or with an embedding the shape of one context.
    embedding
        A net from contexts of shape ``(n, *context)`` to ``(n, k)``, or None.

    Raises
    ------
    UsageError
        If a shape comes without an embedding, or the embedding does not take or return such tensors.

    Examples
    --------
    >>> context_size((2, 3), nn.Sequential(nn.Flatten(), nn.Linear(6, 4)))
    4
    """
    if embedding is None:
        if isinstance(context, Sequence):
            raise UsageError(
                f"contexts of shape {context} without an embedding",
                fix="give embedding=..., a net that turns one into a vector, or the number of features",
            )
        check_count("context", context, least=0)
        return context
    check_instance("embedding", embedding, nn.Module, "logpx.nets.MLP(10, 4)")
    shape = as_event_shape(context) if context else ()
    if not shape:
        raise UsageError(
            "an embedding without a context", fix="give the shape of one context: context=(1, 28, 28)"
        )
    return _outputs(embedding, shape)


def _outputs(embedding: nn.Module, shape: tuple[int, ...]) -> int:
    """Return how many numbers an embedding makes of a context, by a trial that leaves no trace."""
    own = next(embedding.parameters(), torch.empty(0))
    modes = [(part, part.training) for part in embedding.modules()]
    embedding.eval()
    try:
        with torch.no_grad():
            found = embedding(torch.zeros(2, *shape, dtype=own.dtype, device=own.device))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UsageError(
            f"the embedding does not take contexts of shape {shape}: {error}",
            fix="give the shape of one context as context=..., without the dimension of rows",
        ) from error
    finally:
        for part, mode in modes:
            part.training = mode
    returned = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if not isinstance(returned, tuple) or len(returned) != 2 or returned[0] != 2:
        raise UsageError(
            f"the embedding turns contexts of shape {(2, *shape)} into {returned}",
            fix="return a vector for each context, shape (n, k)",
        )
    return int(returned[1])
