"""Cells of any stored type as text, in one spelling for each value."""

from __future__ import annotations

from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["is_interval", "is_text", "text_of", "trimmed", "values_of", "workable"]


def is_text(stored: pa.DataType) -> bool:
    """Whether Arrow stores text so."""
    types = pa.types
    return bool(types.is_string(stored) or types.is_large_string(stored) or types.is_string_view(stored))


def is_interval(stored: pa.DataType) -> bool:
    """Whether a column holds intervals of numbers, as `pandas.cut` makes them."""
    return isinstance(stored, pa.BaseExtensionType) and "interval" in str(stored)


def workable(cells: pa.Array) -> pa.Array:
    """Return cells in a type that Arrow can select among, which it cannot do with views of text."""
    return pc.cast(cells, pa.string()) if pa.types.is_string_view(cells.type) else cells


def values_of(cells: pa.Array) -> pa.Array:
    """Return cells themselves, if they are stored as places in a dictionary."""
    while pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return cells


def trimmed(text: pa.Array) -> pa.Array:
    """Return text without surrounding spaces, which many writers put after a comma.

    Examples
    --------
    >>> trimmed(pa.array([" yes", "no", None])).to_pylist()
    ['yes', 'no', None]
    """
    return pc.utf8_trim_whitespace(text if text.type == pa.string() else pc.cast(text, pa.string()))


def text_of(cells: pa.Array) -> pa.Array:
    """Return cells as text without surrounding spaces: labels of columns of any type.

    What has no text form, such as lists, becomes the name of its type: only whether a cell is missing
    matters then.

    Examples
    --------
    >>> text_of(pa.array([1.0, 2.5, None])).to_pylist(), text_of(pa.array([True])).to_pylist()
    (['1', '2.5', None], ['true'])
    """
    if pa.types.is_dictionary(cells.type):
        return text_of(cells.dictionary).take(cells.indices)
    if is_interval(cells.type):
        return _intervals(cells)
    opaque = pa.types.is_nested(cells.type) or isinstance(cells.type, pa.BaseExtensionType)
    if not (opaque or _is_bytes(cells.type)):
        with suppress(pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return trimmed(pc.cast(cells, pa.string()))
    return pc.if_else(pc.is_valid(cells), str(cells.type), pa.scalar(None, pa.string()))


def _is_bytes(stored: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(stored)
        or types.is_large_binary(stored)
        or types.is_fixed_size_binary(stored)
        or types.is_binary_view(stored)
        or types.is_duration(stored)
    )


def _intervals(cells: pa.Array) -> pa.Array:
    ends = cells.storage
    left, right = (text_of(ends.field(side)) for side in ("left", "right"))
    closed = getattr(cells.type, "closed", "right")
    opens = "[" if closed in ("left", "both") else "("
    closes = "]" if closed in ("right", "both") else ")"
    text = pc.binary_join_element_wise(left, right, ", ")
    text = pc.binary_join_element_wise(opens, text, closes, "")
    return pc.if_else(pc.is_valid(cells), text, pa.scalar(None, pa.string()))
