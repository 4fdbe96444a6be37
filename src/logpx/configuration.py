"""How an object remembers the arguments it was built with, so that it can be saved as plain JSON."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from logpx.arguments import check_names
from logpx.errors import ModelFolderError, UsageError
from logpx.markup import card

__all__ = ["Configured", "build", "class_name", "describe", "shortened"]

_CLASS = "class"
# Characters of a text that is shown, and entries of a list: about four lines.
_LONGEST, _LONGEST_VALUE, _SHOWN = 400, 80, 4


class Configured:
    """Mixin that records the arguments of the outermost constructor call.

    `describe` turns this record into JSON. A subclass needs only an ordinary ``__init__``
    whose arguments are JSON values, other configured objects, or lists and dictionaries of those.

    Attributes
    ----------
    class_prefix : str
        Put before the class's name in descriptions, for classes whose names also occur elsewhere in logpx.
    """

    class_prefix: ClassVar[str] = ""
    _arguments: dict[str, Any]

    def __repr__(self) -> str:
        """Return the constructor's call, without arguments at their defaults, on a few lines at most."""
        return shortened(_call(self))

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return card(type(self).__name__, repr(self))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_arguments" not in self.__dict__:
            check_names(type(self).__name__, signature, kwargs)
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            # The object itself, by whatever name.
            arguments.pop(next(iter(signature.parameters)))
            for name, parameter in signature.parameters.items():
                if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                    arguments.update(arguments.pop(name, {}))
            # torch modules intercept plain attribute setting before their own __init__ has run.
            object.__setattr__(self, "_arguments", _copy_containers(arguments))
        init(self, *args, **kwargs)

    return wrapper


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text that is cut in the middle if it is too long.

    Examples
    --------
    >>> shortened("abcdefghij", 7)
    'abc…hij'
    """
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def _call(value: Any) -> str:
    if not isinstance(value, Configured):
        return _shown(value)
    if type(value).__repr__ is not Configured.__repr__:
        return repr(value)
    signature = inspect.signature(type(value).__init__)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    recorded = getattr(value, "_arguments", {})
    given = {
        name: argument
        for name, argument in recorded.items()
        if name not in defaults or not _is_default(argument, defaults[name])
    }
    return f"{type(value).__name__}({', '.join(f'{name}={_call(one)}' for name, one in given.items())})"


def _is_default(argument: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        default = list(default)
    return argument is default or (type(argument) is type(default) and bool(argument == default))


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        few = [_call(one) for one in value[:_SHOWN]]
        more = [f"… {len(value):,} in all"] if len(value) > _SHOWN else []
        return f"[{', '.join([*few, *more])}]"
    if isinstance(value, Mapping):
        few = [f"{name!r}: {_call(one)}" for name, one in list(value.items())[:_SHOWN]]
        more = [f"… {len(value):,} in all"] if len(value) > _SHOWN else []
        return f"{{{', '.join([*few, *more])}}}"
    return shortened(repr(value), _LONGEST_VALUE)


def _copy_containers(value: Any) -> Any:
    """Copy lists and dictionaries, so that later changes by the caller are not recorded."""
    if isinstance(value, dict):
        return {name: _copy_containers(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy_containers(item) for item in value]
    return value


def class_name(kind: type[Configured]) -> str:
    """Return the name by which descriptions and registries know a class.

    Examples
    --------
    >>> from logpx.transforms import Reverse
    >>> class_name(Reverse)
    'Reverse'
    """
    return f"{kind.class_prefix}{kind.__name__}"


def describe(value: Any) -> Any:
    """Return a configured object, or a container of them, as plain JSON values.

    Raises
    ------
    UsageError
        If an argument is neither a JSON value nor a configured object.

    Examples
    --------
    >>> from logpx.transforms import Reverse
    >>> describe(Reverse(3))
    {'class': 'Reverse', 'features': 3}
    """
    if isinstance(value, Configured):
        # A class without its own constructor has recorded nothing: it takes no arguments.
        recorded = getattr(value, "_arguments", {})
        arguments = {name: describe(argument) for name, argument in recorded.items()}
        return {_CLASS: class_name(type(value)), **arguments}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    raise UsageError(
        f"an argument of type {type(value).__name__} cannot be saved",
        fix="build the model from logpx classes and plain values, or keep it in your own code",
    )


def build(description: Any, registry: Mapping[str, Callable[..., Any]]) -> Any:
    """Build the object that `describe` described, from the classes of a closed registry.

    Raises
    ------
    ModelFolderError
        If the description names a class outside the registry, or arguments that the class does not take.
    """
    if isinstance(description, list):
        return [build(item, registry) for item in description]
    if not isinstance(description, dict):
        return description
    arguments = {name: build(item, registry) for name, item in description.items() if name != _CLASS}
    if _CLASS not in description:
        return arguments
    name = description[_CLASS]
    if not isinstance(name, str) or name not in registry:
        raise ModelFolderError(
            f"the configuration names an unknown class {name!r}",
            fix="load the folder with the version of logpx that wrote it",
        )
    try:
        return registry[name](**arguments)
    except ModelFolderError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ModelFolderError(f"the configuration of {name} cannot be built: {error}") from error
