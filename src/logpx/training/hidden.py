"""Modules that torch does not know of, because they are held in plain containers or by functions."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

__all__ = ["hidden_modules"]

_DEEPEST = 4


def hidden_modules(model: nn.Module) -> list[nn.Module]:
    """Return modules that a model holds in lists, tuples, sets, dictionaries or closures, unregistered.

    Examples
    --------
    >>> model = nn.Module()
    >>> model.parts = [nn.Linear(1, 1)]
    >>> hidden_modules(model)
    [Linear(in_features=1, out_features=1, bias=True)]
    """
    known = {id(each) for each in model.modules()}
    found: dict[int, nn.Module] = {}
    for owner in model.modules():
        for name, value in vars(owner).items():
            # What torch keeps of a module, and the arguments that it was built with.
            if not name.startswith("_"):
                found.update(
                    {id(each): each for each in _modules_in(value, _DEEPEST) if id(each) not in known}
                )
    return list(found.values())


def _modules_in(value: Any, depth: int) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module):
        yield value
        return
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = value
    elif isinstance(value, types.FunctionType):
        # A cell is empty while its function is being defined.
        parts = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
    if depth:
        for part in parts:
            yield from _modules_in(part, depth - 1)
