"""Arguments of a description against the types that constructors declare, before anything is built."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from logpx.errors import ModelFolderError

__all__ = ["conforms", "typed"]

_MANY = (Sequence, Collection, Iterable, list, set, frozenset)
_OURS = "logpx."


def typed(kind: type[Any]) -> Callable[..., Any]:
    """Return a constructor of a class that first compares its arguments with their annotations.

    A part of the wrong type may otherwise be kept, and fail at the first use of the model.

    Examples
    --------
    >>> from logpx.transforms import Inverse
    >>> typed(Inverse)(transform="none")
    Traceback (most recent call last):
    ...
    logpx.errors.ModelFolderError: the configuration of Inverse gives a str as 'transform'
    """
    hints = functools.cache(lambda: _hints(kind))

    @functools.wraps(kind, updated=())
    def construct(**arguments: Any) -> Any:
        for name, value in arguments.items():
            if not conforms(value, hints().get(name, Any)):
                raise ModelFolderError(
                    f"the configuration of {kind.__name__} gives a {type(value).__name__} as {name!r}"
                )
        return kind(**arguments)

    return construct


def _hints(kind: type[Any]) -> dict[str, Any]:
    try:
        return get_type_hints(kind.__init__)
    except (NameError, TypeError):  # a name that exists only for the type checker
        return {}


def conforms(value: Any, hint: Any) -> bool:
    """Return whether a value can be of an annotated type; where that cannot be told, it can.

    Examples
    --------
    >>> conforms([1, 2], Sequence[int]), conforms([1, "2"], Sequence[int]), conforms(1, float | None)
    (True, False, True)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(conforms(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        many = not inner or inner[-1] is Ellipsis
        return _is_list(value) and (
            all(conforms(one, inner[0]) for one in value if inner)
            if many
            else len(value) == len(inner) and all(map(conforms, value, inner))
        )
    if origin in _MANY:
        return _is_list(value) and all(conforms(one, inner[0]) for one in value if inner)
    if origin in (Mapping, dict):
        return isinstance(value, dict) and all(conforms(one, inner[1]) for one in value.values() if inner)
    if origin is Callable:
        return callable(value)
    return _is_one(value, hint if origin is None else origin)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_one(value: Any, kind: Any) -> bool:
    if kind is None or kind is type(None):
        return value is None
    if kind is Any or not isinstance(kind, type):
        return True
    if kind is float:
        return isinstance(value, (int, float))
    if kind in (int, str, bool, nn.Module):
        return isinstance(value, kind)
    if typing.is_protocol(kind) if hasattr(typing, "is_protocol") else getattr(kind, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(kind) if not name.startswith("_"))
    return isinstance(value, kind) or not kind.__module__.startswith(_OURS)
