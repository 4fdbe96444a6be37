"""The names of stored types, as a schema file records them, and the types again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa

__all__ = ["type_named"]

_DICTIONARY = re.compile(r"dictionary<values=(.*), indices=(\w+), ordered=([01])>")
_FORMS: tuple[tuple[str, Callable[[re.Match[str]], pa.DataType]], ...] = (
    (r"timestamp\[(\w+), tz=(.+)\]", lambda found: pa.timestamp(found[1], found[2])),
    (r"decimal32\((\d+), (-?\d+)\)", lambda found: pa.decimal32(int(found[1]), int(found[2]))),
    (r"decimal64\((\d+), (-?\d+)\)", lambda found: pa.decimal64(int(found[1]), int(found[2]))),
    (r"decimal128\((\d+), (-?\d+)\)", lambda found: pa.decimal128(int(found[1]), int(found[2]))),
    (r"decimal256\((\d+), (-?\d+)\)", lambda found: pa.decimal256(int(found[1]), int(found[2]))),
)


def type_named(name: str) -> pa.DataType | None:
    """Return the type that prints as a name, or None if it is none that columns are written in.

    Examples
    --------
    >>> type_named(str(pa.timestamp("us", "Europe/Berlin"))), type_named(str(pa.decimal128(10, 2)))
    (TimestampType(timestamp[us, tz=Europe/Berlin]), Decimal128Type(decimal128(10, 2)))
    >>> type_named("list<item: int64>") is None
    True
    """
    if found := _DICTIONARY.fullmatch(name):
        values, indices = type_named(found[1]), type_named(found[2])
        return None if values is None or indices is None else pa.dictionary(indices, values, found[3] == "1")
    for pattern, build in _FORMS:
        if found := re.fullmatch(pattern, name):
            return build(found)
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return None
