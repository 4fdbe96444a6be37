"""What came with a question, checked: it is from a browser, and may be anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from logpx.arguments import check_count
from logpx.errors import UsageError

__all__ = ["FARTHEST", "MOST_LATENT", "columns_of", "count_of", "number_of", "numbers_of", "values_of"]

#: The most dimensions of a latent space that are moved, and how far, in deviations of the prior.
MOST_LATENT, FARTHEST = 64, 6.0


def values_of(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return texts by column; empty ones are left out.

    Raises
    ------
    UsageError
        If it is no object of texts.

    Examples
    --------
    >>> values_of({"given": {"age": "40", "sex": ""}}, "given")
    {'age': '40'}
    """
    values = given.get(name, {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise UsageError(f"{name} is no object of texts", fix="load the page again")
    return {str(column): value for column, value in values.items() if value.strip()}


def columns_of(given: Mapping[str, Any], known: Sequence[str], most: int) -> list[str]:
    """Return names of columns; by default the first ones.

    Raises
    ------
    UsageError
        If a column is unknown, or there are too many.
    """
    names = given.get("columns", list(known[:most]))
    if not isinstance(names, list) or any(name not in known for name in names):
        raise UsageError("columns are no list of columns of the model", fix="load the page again")
    if len(names) > most:
        raise UsageError(f"{len(names)} columns at once", fix=f"ask for {most} or fewer")
    return list(dict.fromkeys(names))


def count_of(given: Mapping[str, Any], name: str, most: int, *, least: int = 1) -> int:
    """Return a whole number.

    Raises
    ------
    UsageError
        If it is none, or out of range.
    """
    value = given.get(name, least)
    check_count(name, value, least=least, most=most)
    return int(value)


def number_of(given: Mapping[str, Any], name: str, low: float, high: float, usual: float) -> float:
    """Return a number between two others.

    Raises
    ------
    UsageError
        If it is none, or out of range.
    """
    value = given.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{name} is {value!r}", fix=f"give a number from {low:g} to {high:g}")
    return float(value)


def numbers_of(given: Mapping[str, Any], name: str, count: int, size: float) -> list[float]:
    """Return a list of so many numbers, none further from 0 than a size.

    Raises
    ------
    UsageError
        If it is none.
    """
    values = given.get(name, [0.0] * count)
    if not isinstance(values, list) or len(values) != count:
        raise UsageError(f"{name} is no list of {count} numbers", fix="load the page again")
    return [number_of({name: value}, name, -size, size, 0.0) for value in values]
