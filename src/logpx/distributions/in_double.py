"""A module in double precision, without copying its structure each time."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

__all__ = ["in_double"]

Module = TypeVar("Module", bound=nn.Module)

# Of each module, a copy in double precision; nothing of it is in the module, in its folder or in its copies.
_COPIES: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


def in_double(module: Module) -> Module:
    """Return a copy of a module in double precision, with its present numbers.

    Without gradients the copy is one and the same each time, and only its numbers are brought up to date.

    Examples
    --------
    >>> line = nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     first = in_double(line)
    ...     _ = line.weight.fill_(3.0)
    ...     in_double(line) is first, first.weight.dtype, first.weight[0, 0].item()
    (True, torch.float64, 3.0)
    """
    if torch.is_grad_enabled():
        return copy.deepcopy(module).double()
    own, known = _numbers(module), _COPIES.get(module)
    if known is None or not _alike(own, _numbers(known)):
        # Tensors of inference mode could not be changed outside of it.
        with torch.inference_mode(False), torch.no_grad():
            known = _COPIES[module] = copy.deepcopy(module).double()
    for kept, now in zip(_numbers(known), own, strict=True):
        kept.copy_(now)
    return known  # type: ignore[return-value]


def _numbers(module: nn.Module) -> list[Tensor]:
    return list(chain(module.parameters(), module.buffers()))


def _alike(own: list[Tensor], kept: list[Tensor]) -> bool:
    return len(own) == len(kept) and all(
        one.shape == other.shape and one.device == other.device for one, other in zip(own, kept, strict=True)
    )
