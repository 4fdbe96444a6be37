"""What results print, on a few lines, and show in notebooks: the same as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from logpx.configuration import Configured, shortened
from logpx.markup import card, facts, html_table

__all__ = ["Shown", "brief"]

_LONGEST, _MOST = 90, 4


class Shown:
    """Mixin of results: a representation of at most six lines, and a table of the same in notebooks.

    What is shown are the fields of a dataclass, which leaves ``__repr__`` to this class by ``repr=False``, or
    what `_shown_parts` returns. What ``__str__`` says in words stands first in notebooks; where
    `_shown_rows` returns rows, its first line does, and the rows stand below in place of the parts.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(repr=False)
    ... class Found(Shown):
    ...     value: float
    ...     draws: np.ndarray
    >>> Found(1 / 3, np.zeros((500, 2)))
    Found(value=0.333333, draws=<ndarray of shape (500, 2)>)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the name of the class and its parts, shortened."""
        parts = ", ".join(f"{name}={brief(value)}" for name, value in self._shown_parts().items())
        return shortened(f"{type(self).__name__}({parts})")

    def _repr_html_(self) -> str:
        """Show the parts, or the rows, in a notebook."""
        rows = self._shown_rows()
        if rows:
            notes = html_table([{"notes": note} for note in getattr(self, "notes", ())])
            return card(type(self).__name__, str(self).partition("\n")[0], html_table(rows), notes)
        known = {name: brief(value) for name, value in self._shown_parts().items()}
        in_words = not known or type(self).__str__ is not object.__str__
        first = str(self) if in_words else ""
        return card(type(self).__name__, first, facts(known))

    def _shown_rows(self) -> Sequence[Mapping[str, object]]:
        """Return what a notebook shows as a table, if that says more than the parts."""
        return ()

    def _shown_parts(self) -> Mapping[str, object]:
        """Return what is shown by name: the fields of a dataclass, unless a subclass says otherwise."""
        own: Any = self
        known = [field.name for field in fields(own) if field.repr] if is_dataclass(own) else []
        return {name: getattr(self, name) for name in known}


def brief(value: Any) -> str:
    r"""Return a value on part of a line: long ones are cut, and of arrays only the shape is told.

    Examples
    --------
    >>> brief(0.1 + 0.2), brief([1, 2, 3, 4, 5, 6]), brief("a\nb")
    ('0.3', '[1, 2, 3, 4, … 6 in all]', "'a\\nb'")
    """
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(shape := getattr(value, "shape", None), tuple):
        if hasattr(value, "tolist") and len(shape) <= 1 and all(0 < length <= _MOST for length in shape):
            return brief(value.tolist())
        return f"<{type(value).__name__} of shape {tuple(shape)}>"
    if isinstance(value, Mapping):
        few = [f"{name!r}: {brief(one)}" for name, one in list(value.items())[:_MOST]]
        return f"{{{', '.join([*few, *_more(value)])}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join([*map(brief, value[:_MOST]), *_more(value)])}]"
    if isinstance(value, Configured) or is_dataclass(value):
        return f"{type(value).__name__}(…)"
    return shortened(" ".join(repr(value).split()), _LONGEST)


def _more(values: Any) -> list[str]:
    return [f"… {len(values):,} in all"] if len(values) > _MOST else []
