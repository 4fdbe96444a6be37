"""The text of the option ``--columns``: names of any characters with a kind each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from logpx.errors import UsageError

__all__ = ["choices", "columns_option", "quoted_name"]

# A quoted name, or all text before the last equals sign; then a kind.
_CHOICE = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*|(?P<plain>[^,]*))=(?P<kind>[^,="]*)(?:,|$)')
_PLAIN = re.compile(r'[^\s",=](?:[^",=\n\r]*[^\s",=])?')


def choices(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names and kinds of ``name=kind,...``; quotes around a name work as in CSV.

    Raises
    ------
    UsageError
        If the text does not have this form.

    Examples
    --------
    >>> list(choices('price=positive, "a,b"=drop, =drop'))
    [('price', 'positive'), ('a,b', 'drop'), ('', 'drop')]
    """
    at = 0
    while True:
        match = _CHOICE.match(text, at)
        if match is None:
            raise UsageError(
                f"--columns has {text[at:].partition(',')[0].strip()!r}, expected name=kind",
                fix="write, for example, --columns price=positive,zip=drop, with double quotes around a name "
                """that has a comma: --columns '"a,b"=drop'""",
            )
        name = match["plain"].strip() if match["quoted"] is None else match["quoted"].replace('""', '"')
        yield name, match["kind"].strip()
        at = match.end()
        if not text[match.start() : at].endswith(","):
            return


def quoted_name(name: str) -> str:
    """Return a name as the option takes it, in quotes if it needs them.

    Examples
    --------
    >>> print(quoted_name("price"), quoted_name("a,b"), quoted_name(" x"), quoted_name(""))
    price "a,b" " x" ""
    """
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def columns_option(kinds: Mapping[str, str]) -> str:
    """Return the option that gives columns these kinds, to be pasted into a shell.

    Examples
    --------
    >>> print(columns_option({"zip": "drop", "a,b": "categorical"}))
    --columns 'zip=drop,"a,b"=categorical'
    """
    text = ",".join(f"{quoted_name(name)}={kind}" for name, kind in kinds.items())
    return f"--columns {shlex.quote(text)}"
