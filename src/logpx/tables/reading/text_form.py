"""How a file of delimited text is written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TextForm"]


@dataclass(frozen=True)
class TextForm:
    """How delimited text is written.

    Attributes
    ----------
    delimiter : str
        The character between fields.
    decimal : str
        The decimal mark of numbers that are not stored as text; a point if it is the delimiter.
    """

    delimiter: str = ","
    decimal: str = "."
