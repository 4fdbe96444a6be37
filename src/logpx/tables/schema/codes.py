"""Numbers that are written like codes, with zeros in front."""

from __future__ import annotations

from logpx.tables.reading.notation import Notation
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.summaries import NumberSummary

__all__ = ["code_note"]


def code_note(name: str, notation: Notation, summary: NumberSummary) -> str | None:
    """Return a note if numbers are written with zeros in front, which quantities seldom are.

    Examples
    --------
    >>> from logpx.tables.reading.column_types import ColumnType
    >>> code_note("zip", NumberNotation(width=5), NumberSummary(ColumnType.NUMBER))
    'numbers with zeros in front, as codes have: if they are labels, fit with --columns zip=categorical'
    """
    if not isinstance(notation, NumberNotation) or not notation.width or summary.minimum == summary.maximum:
        return None
    option = columns_option({name: Kind.CATEGORICAL})
    return f"numbers with zeros in front, as codes have: if they are labels, fit with {option}"
