"""The names of a table's columns: every column has its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from logpx.errors import DataError
from logpx.tables.reading.csv_layout import is_number

__all__ = ["check_names", "is_frame_index", "refuse_repeated_names"]

_SHOWN = 20
_FRAME_INDEX = re.compile(r"__index_level_\d+__")


def is_frame_index(name: str) -> bool:
    """Return whether a column is the index without a name of a pandas frame, as Arrow and Parquet store it.

    Parts of a frame have one (rows that were drawn, or are left after others were dropped). It says nothing
    of a row.

    Examples
    --------
    >>> is_frame_index("__index_level_0__")
    True
    """
    return _FRAME_INDEX.fullmatch(name) is not None


def refuse_repeated_names(names: Sequence[str], file: str | None = None) -> None:
    """Raise if columns share a name.

    Raises
    ------
    DataError
        Naming all such names, with how many columns have each.

    Examples
    --------
    >>> refuse_repeated_names(["a", "b"])
    """
    repeated = [(name, count) for name, count in Counter(names).items() if count > 1]
    if not repeated:
        return
    if len(repeated) == 1:
        ((name, count),) = repeated
        raise DataError(
            f"{count} columns have this name", file=file, column=name, fix="give every column its own name"
        )
    shown = ", ".join(f"{name!r} ({count} columns)" for name, count in repeated[:_SHOWN])
    more = "" if len(repeated) <= _SHOWN else f" and {len(repeated) - _SHOWN} more"
    raise DataError(
        f"names that several columns have: {shown}{more}", file=file, fix="give every column its own name"
    )


def check_names(names: Sequence[str], file: str, rows: Sequence[Sequence[str]] = ()) -> None:
    """Raise if the names of columns, taken from the first line of a table, cannot be names.

    Raises
    ------
    DataError
        If all of them are numbers, or like the first rows below them, one has NUL bytes, or two are the same.
    """
    if any("\0" in name for name in names):
        raise DataError("the header line has NUL bytes", file=file, fix="save the file again as UTF-8 text")
    filled = [name for name in names if name.strip()]
    if filled and all(is_number(name) for name in filled):
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise DataError(
            f"no header line: the first line is all numbers ({shown})",
            file=file,
            fix="add a first line with the names of the columns",
        )
    if _like_a_row(names, rows):
        raise DataError(
            f"no header line: the first line ({', '.join(names[:4])}{', …' if len(names) > 4 else ''}) holds "
            "values like those below it",
            file=file,
            fix="add a first line with the names of the columns",
        )
    refuse_repeated_names(names, file)


def _like_a_row(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether names are values: numbers above numbers, and texts most of which their columns have, too."""
    numbers, found, texts = 0, 0, 0
    for index, name in enumerate(name.strip() for name in names):
        cells = {row[index].strip() for row in rows if index < len(row)} - {""}
        if not name or not cells:
            continue
        if is_number(name):
            if not all(map(is_number, cells)):
                return False
            numbers += 1
        else:
            texts += 1
            found += name in cells
    return bool(texts) and 2 * found >= texts and (numbers > 0 or found == texts > 1)
