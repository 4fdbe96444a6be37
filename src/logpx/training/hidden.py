"""Modules that torch does not know of, because they are held in plain containers or by functions."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

__all__ = ["hidden_modules"]

_DEEPEST = 5


def hidden_modules(model: nn.Module) -> list[nn.Module]:
    """Return modules that a model holds in lists, tuples, sets, dictionaries or closures, unregistered.

    Examples
    --------
    >>> model = nn.Module()
    >>> model.parts = [nn.Linear(1, 1)]
    >>> hidden_modules(model)
    [Linear(in_features=1, out_features=1, bias=True)]
    """
    # Names with an underscore are torch's own, and the arguments that an object was built with.
    attributes = [
        value for owner in model.modules() for name, value in vars(owner).items() if not name.startswith("_")
    ]
    found = {id(each): each for each in _modules_in(attributes, _DEEPEST)}
    known = {id(each) for each in model.modules()}
    return [each for key, each in found.items() if key not in known]


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
