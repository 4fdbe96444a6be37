"""Checks of arguments: a wrong value is refused where it is given, by name."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from logpx.errors import UnknownArgumentError, UsageError
from logpx.suggestions import suggestion

__all__ = [
    "check_count",
    "check_instance",
    "check_names",
    "check_number",
    "check_places",
    "is_number",
    "is_whole",
    "names_checked",
]

# The largest number of single precision, in which models compute.
_LARGEST = float(np.finfo(np.float32).max)

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, of Python or numpy; booleans do not count.

    Examples
    --------
    >>> is_whole(np.int64(3)), is_whole(True), is_whole(3.0)
    (True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, of Python or numpy; booleans do not count.

    Examples
    --------
    >>> is_number(np.float32(0.5)), is_number(True), is_number("0.5")
    (True, False, False)
    """
    return is_whole(value) or isinstance(value, (float, np.floating))


def check_count(name: str, value: Any, least: int | None = 1, most: int | None = None) -> None:
    """Refuse a value that is not a whole number within the limits; booleans do not count.

    Raises
    ------
    UsageError
        Naming argument, value and limits.

    Examples
    --------
    >>> check_count("layers", 0)
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: layers is 0, where a whole number was expected
    fix: give layers=1 or more
    """
    if is_whole(value) and (least is None or value >= least) and (most is None or value <= most):
        return
    if least is None:
        fix = f"give a whole number, such as {name}=0"
    else:
        fix = f"give {name}={least} or more" if most is None else f"give a number from {least} to {most}"
    raise UsageError(f"{name} is {value!r}, where a whole number was expected", fix=fix)


def check_number(name: str, value: Any, above: float = -math.inf) -> None:
    """Refuse a value that is not a finite number above a limit.

    Raises
    ------
    UsageError
        Naming argument and value.

    Examples
    --------
    >>> check_number("bound", "3", above=0.0)
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: bound is '3', where a finite number above 0 was expected
    fix: give a finite number above 0
    """
    if is_number(value) and _LARGEST < abs(value) < math.inf:
        raise UsageError(
            f"{name} is {value!r}, which single precision does not hold",
            fix=f"give a number up to {_LARGEST:.2g}",
        )
    if not is_number(value) or not above < value < math.inf:
        expected = "a finite number" if above == -math.inf else f"a finite number above {above:g}"
        raise UsageError(f"{name} is {value!r}, where {expected} was expected", fix=f"give {expected}")


def check_instance(name: str, value: Any, kind: type[Any], example: str) -> None:
    """Refuse a value that is not an instance of a class.

    Raises
    ------
    UsageError
        Naming argument, value and class.

    Examples
    --------
    >>> check_instance("rate", "fast", float, "0.1")
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: rate is 'fast', where a float was expected
    fix: give, say, 0.1
    """
    if not isinstance(value, kind):
        raise UsageError(
            f"{name} is {value!r}, where a {kind.__name__} was expected", fix=f"give, say, {example}"
        )


def check_places(name: str, value: Any, size: int) -> None:
    """Refuse a value that is not a list of feature numbers, each at least 0 and below `size`.

    Raises
    ------
    UsageError
        Naming argument, value and size.

    Examples
    --------
    >>> check_places("circular", [0, 3], 3)
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: circular is [0, 3], where numbers from 0 to 2 were expected
    fix: give a list of the numbers, such as [0]
    """
    listed = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    if not listed or any(not is_whole(place) or not 0 <= place < size for place in value):
        raise UsageError(
            f"{name} is {value!r}, where numbers from 0 to {size - 1} were expected",
            fix="give a list of the numbers, such as [0]",
        )


def check_names(function: str, signature: inspect.Signature, given: Mapping[str, Any]) -> None:
    """Refuse arguments that a function does not have, with the nearest name that it has.

    Raises
    ------
    UnknownArgumentError
        Naming function and argument; it is a TypeError, too.
    """
    parameters = signature.parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [each.name for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY]
    for name in given:
        if name not in known:
            others = [each for each in known if each != "self"]
            raise UnknownArgumentError(
                f"{function} has no argument {name!r}",
                fix=suggestion(name, others) if others else "leave it out",
            )


def names_checked(function: Callable[_Arguments, _Value]) -> Callable[_Arguments, _Value]:
    """Let a function refuse unknown arguments by `check_names`.

    Examples
    --------
    >>> @names_checked
    ... def double(value):
    ...     return 2 * value
    >>> double(valu=3)
    Traceback (most recent call last):
    ...
    logpx.errors.UnknownArgumentError: double has no argument 'valu'
    fix: did you mean 'value'?
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Value:
        check_names(function.__name__, signature, kwargs)
        return function(*args, **kwargs)

    return checked
