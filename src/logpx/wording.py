"""Numbers of things in words."""

from __future__ import annotations

__all__ = ["counted"]

_IRREGULAR = {"are": "is", "have": "has", "were": "was"}


def counted(count: int, noun: str, verb: str = "") -> str:
    """Return a number of things, with thousands apart, and the noun in the singular or the plural.

    Parameters
    ----------
    count
        How many there are.
    noun
        One of them, in words whose plural ends in an s.
    verb
        What several of them do, if they do anything.

    Examples
    --------
    >>> counted(1, "column"), counted(0, "row"), counted(1200, "new row")
    ('1 column', '0 rows', '1,200 new rows')
    >>> counted(1, "row", "lie"), counted(2, "row", "have")
    ('1 row lies', '2 rows have')
    """
    if count != 1:
        return f"{count:,} {noun}s {verb}".rstrip()
    return f"{count:,} {noun} {_IRREGULAR.get(verb, f'{verb}s') if verb else ''}".rstrip()
