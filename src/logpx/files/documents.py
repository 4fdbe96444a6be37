"""JSON documents, read strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from logpx.errors import ModelFolderError, UsageError

__all__ = ["DAMAGED", "parse_object", "plain", "restore", "spell_out", "to_bytes"]

DAMAGED = "restore the folder from a copy, or fit the model again"

_SURROGATE = rb"\ud"
_NOT_FINITE = ("inf", "-inf", "nan")


def to_bytes(document: Any) -> bytes:
    r"""Return a document as UTF-8 JSON text.

    Raises
    ------
    ValueError
        If a number is not finite.

    Examples
    --------
    >>> to_bytes({"a": 1})
    b'{\n  "a": 1\n}\n'
    """
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse_object(content: bytes, file: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    ModelFolderError
        If the content is not JSON, is not an object, or repeats a key.
    """
    try:
        document = json.loads(
            content.decode(), parse_constant=_refuse_constant, object_pairs_hook=_without_repeats
        )
        if _SURROGATE in content.lower():
            # Half of a pair of surrogates is no character, and nothing can be written that holds one.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"not valid JSON: {error}", file=file, fix=DAMAGED) from error
    if not isinstance(document, dict):
        raise ModelFolderError("not a JSON object", file=file, fix=DAMAGED)
    return document


def plain(value: Any) -> Any:
    """Return a value as JSON values, with null for numbers that are not finite.

    Raises
    ------
    UsageError
        If a part is not a number, text, list or mapping.

    Examples
    --------
    >>> plain({"mean": (1.5, float("nan"))})
    {'mean': [1.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"a {type(value).__name__} cannot be written as JSON", fix="give JSON values"
        ) from None
    return number if math.isfinite(number) else None


def spell_out(value: Any) -> Any:
    """Return a description with numbers that JSON lacks as ``{"float": "inf"}``, which `restore` undoes.

    Examples
    --------
    >>> spell_out([0.5, float("-inf")])
    [0.5, {'float': '-inf'}]
    >>> restore(spell_out([0.5, float("-inf")]))
    [0.5, -inf]
    """
    if isinstance(value, dict):
        return {key: spell_out(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spell_out(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def restore(value: Any) -> Any:
    """Undo `spell_out`."""
    if isinstance(value, dict):
        if set(value) == {"float"} and value["float"] in _NOT_FINITE:
            return float(value["float"])
        return {key: restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restore(item) for item in value]
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document
