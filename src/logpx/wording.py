"""Numbers of things in words, and means with their errors."""

from __future__ import annotations

import math

__all__ = ["counted", "with_standard_error"]

_MOST_DIGITS = 9
# Smaller errors are those of sums in another order.
_ROUNDING = 1e-9

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


def with_standard_error(mean: float, standard_error: float) -> str:
    """Return a finite mean with its standard error: three decimals, more where the error is smaller.

    Examples
    --------
    >>> with_standard_error(-3.14159, 0.0123), with_standard_error(-3.14159, 0.00012)
    ('-3.142 ± 0.012', '-3.14159 ± 0.00012')
    """
    digits = 3
    if _ROUNDING < standard_error < 0.01:
        digits = min(_MOST_DIGITS, 1 - math.floor(math.log10(standard_error)))
    return f"{mean:z.{digits}f} ± {standard_error:.{digits}f}"
