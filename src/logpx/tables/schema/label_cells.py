"""Labels as cells of the type that a table stores them in."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from logpx.errors import DataError
from logpx.tables.reading.cell_text import text_of

__all__ = ["label_cells"]


def label_cells(labels: pa.Array, cells: pa.Array | pa.DataType) -> pa.Array:
    """Return labels as cells like others, or of a type.

    Parameters
    ----------
    labels : pyarrow.Array
        Text.
    cells : pyarrow.Array or pyarrow.DataType
        Other cells of the column, whose spelling of a label is taken if they have it, or only the type.

    Raises
    ------
    DataError
        If a label has no form in that type.

    Examples
    --------
    >>> label_cells(pa.array(["False", "True"]), pa.bool_()).to_pylist()
    [False, True]
    """
    stored = cells if isinstance(cells, pa.DataType) else cells.type
    if isinstance(cells, pa.DictionaryArray):
        places = pc.index_in(labels, value_set=text_of(cells.dictionary))
        if not places.null_count:
            places = places.cast(stored.index_type)
            return pa.DictionaryArray.from_arrays(places, cells.dictionary, ordered=stored.ordered)
    try:
        if pa.types.is_dictionary(stored):
            return pc.cast(labels, stored.value_type).dictionary_encode().cast(stored)
        if pa.types.is_integer(stored):
            labels = pc.replace_substring_regex(labels, r"\.0*$", "")
        return pc.cast(labels, stored)
    except pa.ArrowException:
        shown = ", ".join(map(repr, pc.unique(labels).to_pylist()[:3]))
        raise DataError(
            f"the labels {shown} of the model cannot be stored as {stored}",
            fix="store the column as text, or in the type of the table that the model was fitted to",
        ) from None
