"""Functions that no compiled graph can express."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

__all__ = ["never_compiled"]

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


def never_compiled(function: Callable[_Arguments, _Value]) -> Callable[_Arguments, _Value]:
    """Leave a function, and all it calls, to Python under `torch.compile`.

    `torch.compiler.disable` does the same but loads the compiler at once, which costs every command that
    compiles nothing two seconds. Here it is loaded only when something is compiled.

    Examples
    --------
    >>> @never_compiled
    ... def halvings(x):
    ...     return 0 if abs(x) < 1 else 1 + halvings(x / 2)
    >>> halvings(5.0)
    3
    """

    @functools.wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Value:
        if torch.compiler.is_compiling():
            disable: Any = torch.compiler.disable
            found: _Value = disable(function)(*args, **kwargs)
            return found
        return function(*args, **kwargs)

    return call
