"""The nearest name, and lists of names, for errors about unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["alternatives", "nearest_name", "path_suggestion", "suggestion"]

_SHOWN = 20


def nearest_name(name: str, names: Sequence[str]) -> str | None:
    """Return the name most similar to another, or of those initials, or None if none is similar.

    Examples
    --------
    >>> nearest_name("prise", ["price", "size"])
    'price'
    >>> nearest_name("lr", ["layers", "learning_rate"])
    'learning_rate'
    """
    initials = [known for known in names if "".join(word[:1] for word in known.split("_")) == name]
    if initials:
        return initials[0]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return near[0] if near else None


def suggestion(name: str, names: Sequence[str]) -> str:
    """Return a fix for a name that is not among the known ones.

    Examples
    --------
    >>> suggestion("prise", ["price", "size"])
    "did you mean 'price'?"
    """
    near = nearest_name(name, names)
    if near is not None:
        return f"did you mean {near!r}?"
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"choose among: {shown}"


def path_suggestion(path: str) -> str:
    """Return a fix for the path of a file that is not there: the name in its folder that is most similar.

    Examples
    --------
    >>> path_suggestion("no such folder/table.csv")
    "check the path: there is no folder 'no such folder'"
    """
    folder = Path(path).parent
    try:
        near = nearest_name(Path(path).name, [entry.name for entry in folder.iterdir()])
    except OSError:
        return f"check the path: there is no folder {str(folder)!r}"
    return "check the path" if near is None else f"did you mean {str(folder / near)!r}?"


def alternatives(names: Sequence[str]) -> str:
    """Return names as an English list of alternatives.

    Examples
    --------
    >>> alternatives(["gmm", "ppca", "vae"]), alternatives(["vae"])
    ('gmm, ppca or vae', 'vae')
    """
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
