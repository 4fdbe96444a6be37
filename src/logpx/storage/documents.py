"""JSON documents, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from logpx.errors import ModelFolderError

__all__ = ["DAMAGED", "parse_object", "read_bytes", "to_bytes"]

DAMAGED = "restore the folder from a copy, or fit the model again"

_LARGEST_DOCUMENT = 64_000_000


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
        If the content is not JSON, not an object, or has a key twice.
    """
    try:
        document = json.loads(
            content.decode(), parse_constant=_refuse_constant, object_pairs_hook=_without_repeats
        )
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"not valid JSON: {error}", file=file, fix=DAMAGED) from error
    if not isinstance(document, dict):
        raise ModelFolderError("not a JSON object", file=file, fix=DAMAGED)
    return document


def read_bytes(file: Path) -> bytes:
    """Return a document's bytes.

    Raises
    ------
    ModelFolderError
        If the file is missing, unreadable or too large to be what it should be.
    """
    try:
        if file.stat().st_size > _LARGEST_DOCUMENT:
            raise ModelFolderError("too large to be a part of a model folder", file=file, fix=DAMAGED)
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ModelFolderError("the file is missing", file=file, fix=DAMAGED) from error
    except OSError as error:
        raise ModelFolderError(
            f"cannot be read: {error.strerror}", file=file, fix="check its permissions"
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document
